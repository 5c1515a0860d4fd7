-- Looks whether each job stands where its status says, and puts back the one that stands nowhere.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell
--      credits home job payload
-- ARGV now_ms group keep_ms lease_ms
-- EACH id
-- USES clock tally bell state lanes leave record quarantine order groups ready bonds
-- RETURNS one entry a job: its status, with '!' in front if it was put back, 'gone' or 'corrupt'
local MOST_PARENTS = 64
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
  local lane = lanes[state.lane] or stream
  if given[lane] == nil then given[lane] = facts_of_group(lane) or false end
  return given[lane] and not is_before(given[lane].last, state.message_id)
end

local function put_back_on_lane(id, state)
  if state.message_id then leave_message(state.lane, state.message_id) end
  local message_id = redis.call('XADD', lanes[state.lane] or stream, '*', 'id', id)
  redis.call('HSET', job .. id, 'message_id', message_id)
  ready = ready + 1
  return message_id
end

-- Whether a parent it waits for may still tell it; one that cannot is told on its behalf.
local function is_awaited(id)
  for _, parent in ipairs(redis.call('SRANDMEMBER', home .. 'parents:' .. id, MOST_PARENTS)) do
    if not parent:find('/', 1, true) and not bear(parent, id) then
      redis.call('SADD', home .. 'children:' .. parent, id)
      redis.call('RPUSH', home .. 'fanout', parent)
      return false
    end
  end
  return true
end

local function stands_in_line(id, state)
  if not has(state.traits, 'k') then return false end
  local options = flow_of(id)
  local key = key_of(options)
  if not redis.call('ZSCORE', home .. 'line:' .. options.lane .. ':' .. key, id) then return false end
  give_turn(options.lane, key)
  return true
end

local menders = {
  waiting = function(id, state)
    redis.call('ZADD', index .. 'waiting', 'NX', now, id)
    if has(state.traits, 'p') and redis.call('EXISTS', home .. 'parents:' .. id) == 1 then return not is_awaited(id) end
    if stands_in_line(id, state) then return false end
    leave(id, state)
    make_ready(id, state)
    return true
  end,
  suspended = function(id)
    return redis.call('ZADD', index .. 'suspended', 'NX', now, id) == 1
  end,
  pending = function(id, state)
    if has_message(state) and (redis.call('ZSCORE', leases, id) or not is_behind(state)) then return false end
    put_back_on_lane(id, state)
    return true
  end,
  processing = function(id, state)
    local mended = false
    if not has_message(state) then
      put_back_on_lane(id, state)
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
