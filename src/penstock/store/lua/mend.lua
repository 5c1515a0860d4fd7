-- Looks whether each job stands where its status says, and puts back the one that stands nowhere.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell job payload
-- ARGV now_ms group keep_ms lease_ms
-- EACH id
-- USES clock tally bell state lanes leave record quarantine order groups
-- RETURNS one entry a job: its status, with '!' in front if it was put back, 'gone' or 'corrupt'
local answers = {}
local ready = 0

local function has_message(state)
  if not state.message_id then return false end
  local found = redis.pcall('XRANGE', lanes[state.lane] or stream, state.message_id, state.message_id)
  return #found > 0
end

local given = {}

-- Whether the group was given the message before, and so never will be again.
local function is_behind(state)
  local home = lanes[state.lane] or stream
  if given[home] == nil then given[home] = facts_of_group(home) or false end
  return given[home] and not is_before(given[home].last, state.message_id)
end

local function put_on_lane(id, state)
  if state.message_id then leave_message(state.lane, state.message_id) end
  local message_id = redis.call('XADD', lanes[state.lane] or stream, '*', 'id', id)
  redis.call('HSET', job .. id, 'message_id', message_id)
  ready = ready + 1
  return message_id
end

local menders = {
  pending = function(id, state)
    if has_message(state) and (redis.call('ZSCORE', leases, id) or not is_behind(state)) then return false end
    put_on_lane(id, state)
    return true
  end,
  processing = function(id, state)
    local mended = false
    if not has_message(state) then
      put_on_lane(id, state)
      mended = true
    end
    if not redis.call('ZSCORE', leases, id) then
      -- A full lease from now: if somebody is at work, the next beat takes it over.
      redis.call('ZADD', leases, now + tonumber(lease_ms), id)
      mended = true
    end
    return mended
  end,
  scheduled = function(id)
    return redis.call('ZADD', scheduled, 'NX', now, id) == 1
  end,
  ended = function(id, state)
    return redis.call('ZADD', index .. state.status, 'NX', now, id) == 1
  end,
}
menders.retrying = menders.scheduled

for at = FIRST, #ARGV, STRIDE do
  local id = ARGV[at]
  local state, problem = read(id)
  if problem == 'corrupt' then quarantine(id, nil) end
  if problem then
    answers[#answers + 1] = problem
  else
    local mender = menders[state.ended and 'ended' or state.status]
    local mended = mender and mender(id, state)
    answers[#answers + 1] = (mended and '!' or '') .. state.status
  end
end
write_departures()
write_tally()
if ready > 0 then ring(ready) end
return answers
