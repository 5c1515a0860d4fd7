-- Removes finished jobs whose retention is over, with every key they had and their dead letter.
-- A recorded job whose last event some required group has not passed starts its retention anew.
--
-- KEYS counts index dlq events home job payload result steps
-- ARGV now_ms ttl_ms status most required
-- USES clock tally state
-- RETURNS how many jobs were removed
local LETTER_WINDOW_MS = 1000
local MOST_LETTERS = 1000
local removed = 0

-- The events stream is trimmed to what all required groups have passed, so an event that is still there waits.
local function is_history_behind(event_id)
  if required == '0' or not event_id then return false end
  return #redis.call('XRANGE', events, event_id, event_id) > 0
end

-- Finds the dead letter of a job whose hash ran out before a janitor came: both bear the same time.
local function drop_letter(id)
  local ended = tonumber(redis.call('ZSCORE', index .. status, id))
  local from, to = string.format('%.0f', ended - LETTER_WINDOW_MS), string.format('%.0f', ended + LETTER_WINDOW_MS)
  for _, entry in ipairs(redis.call('XRANGE', dlq, from, to, 'COUNT', MOST_LETTERS)) do
    if entry[2][2] == id then redis.call('XDEL', dlq, entry[1]) end
  end
end

local function remove(id)
  local raw = redis.pcall('HMGET', job .. id, 'letter', 'event_id', 'status', 'traits')
  if raw.err then raw = {} end
  if is_history_behind(raw[2]) then
    redis.call('ZADD', index .. status, now, id)
    return
  end
  if raw[1] then
    redis.call('XDEL', dlq, raw[1])
  elseif status == 'failed' and not raw[3] then
    drop_letter(id)
  end
  redis.call('ZREM', index .. status, id)
  -- An id that was enqueued anew after its keys ran out belongs to the new job.
  if not raw[3] or raw[3] == status then
    redis.call('DEL', job .. id, payload .. id, result .. id, steps .. id)
    if raw[4] or not raw[3] then
      redis.call('DEL', home .. 'inputs:' .. id, home .. 'signals:' .. id, home .. 'live:' .. id)
    end
  end
  move(status, nil)
  removed = removed + 1
end

local over = now - tonumber(ttl_ms)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', index .. status, '-inf', over, 'LIMIT', 0, most)) do remove(id) end
write_tally()
return removed
