-- Forgets a job that has ended: every key it had, its dead letter and its count.
--
-- KEYS counts index dlq events home job payload result steps
-- ARGV required
-- USES tally
-- The events stream is trimmed to what all required groups have passed, so an event that is still there waits.
local function is_history_behind(event_id)
  if required == '0' or not event_id then return false end
  return #redis.call('XRANGE', events, event_id, event_id) > 0
end

local function delete_keys(id, has_flow)
  redis.call('DEL', job .. id, payload .. id, result .. id, steps .. id)
  if has_flow then redis.call('DEL', home .. 'inputs:' .. id, home .. 'signals:' .. id, home .. 'live:' .. id) end
end

local function strike_off(id, status)
  redis.call('ZREM', index .. status, id)
  move(status, nil)
end
