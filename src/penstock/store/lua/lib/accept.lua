-- Accepts one job on any terms: none → pending, scheduled (a delay) or waiting (parents, or its key's turn).
-- A job id that is already kept is left as it is, so a repeated call makes no double.
--
-- KEYS scheduled events job payload
-- ARGV max_events
-- USES clock tally bell lanes plain
-- LATE options
local head = nil
local backlog = nil

local function events_are_full()
  if backlog == nil then backlog = redis.call('XLEN', events) >= tonumber(max_events) end
  return backlog
end

local function wait_for_time(id, due)
  head = head or redis.call('ZRANGE', scheduled, 0, 0)[1] or ''
  redis.call('ZADD', scheduled, due, id)
end

-- A delayed job that became the first due also wakes a worker, which then knows when to look again.
local function write_accepted()
  write_plain()
  if head and head ~= redis.call('ZRANGE', scheduled, 0, 0)[1] then wake_later() end
  if was_late then
    late().write_finished()
    late().write_departures()
  end
  write_wakes()
  write_tally()
end

local function write_hash(id, spec, lane, status, message_id, max_attempts, apart, traits, flow)
  local fields = { 'spec', spec, 'status', status }
  local size = 4
  if message_id then fields[5], fields[6] = 'message_id', message_id; size = 6 end
  if lane ~= 'normal' then fields[size + 1], fields[size + 2] = 'lane', lane; size = size + 2 end
  if traits ~= '' then fields[size + 1], fields[size + 2] = 'traits', traits; size = size + 2 end
  if flow ~= '' then fields[size + 1], fields[size + 2] = 'flow', flow; size = size + 2 end
  if max_attempts ~= '3' then fields[size + 1], fields[size + 2] = 'max_attempts', max_attempts end
  if apart ~= '' then redis.call('SET', payload .. id, apart) end
  redis.call('HSET', job .. id, unpack(fields))
end

local function accept_without_options(id, spec, lane, delay_ms, recorded, max_attempts, apart)
  local traits = (recorded == '1' and 'r' or '') .. (apart ~= '' and 'a' or '')
  if delay_ms > 0 then
    wait_for_time(id, now + delay_ms)
    write_hash(id, spec, lane, 'scheduled', nil, max_attempts, apart, traits, '')
    move(nil, 'scheduled')
  else
    local message_id = redis.call('XADD', lanes[lane], '*', 'id', id)
    write_hash(id, spec, lane, 'pending', message_id, max_attempts, apart, traits, '')
    move(nil, 'pending')
    wake_later()
  end
  if recorded == '1' then
    redis.call('XADD', events, '*', 'event', 'enqueued', 'job', id, 'at', now, 'attempt', 0, 'spec', spec)
  end
  return 'ok'
end

local function accept(id, spec, terms, apart)
  if terms == '' then return accept_plain(id, spec) end
  if redis.call('EXISTS', job .. id) == 1 then return 'kept' end
  local lane, delay_ms, recorded, max_attempts, flow = terms:match('^(%a+) (%d+) (%d) (%d+) (.*)$')
  if recorded == '1' and events_are_full() then return 'backlog' end
  delay_ms = tonumber(delay_ms)
  if flow == '' then return accept_without_options(id, spec, lane, delay_ms, recorded, max_attempts, apart) end
  return late().accept_with_options(id, spec, lane, delay_ms, recorded, max_attempts, apart, flow)
end
