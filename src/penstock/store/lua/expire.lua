-- Removes finished jobs whose retention is over, with every key they had and their dead letter.
-- A recorded job whose last event some required group has not passed starts its retention anew. One that has not
-- told all its children yet stays a little: they are to hear how it ended.
--
-- KEYS counts index dlq events home job payload result steps
-- ARGV now_ms ttl_ms status most required
-- USES clock tally state forget
-- RETURNS how many jobs were removed
local LETTER_WINDOW_MS = 1000
local MOST_LETTERS = 1000
local LOOK_AGAIN_MS = 30000
local over = now - tonumber(ttl_ms)
local removed = 0

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
  if is_history_behind(raw[2]) then return redis.call('ZADD', index .. status, now, id) end
  if has(raw[4], 'c') and redis.call('EXISTS', home .. 'children:' .. id) == 1 then
    return redis.call('ZADD', index .. status, over + LOOK_AGAIN_MS, id)
  end
  if raw[1] then
    redis.call('XDEL', dlq, raw[1])
  elseif status == 'failed' and not raw[3] then
    drop_letter(id)
  end
  -- An id that was enqueued anew after its keys ran out belongs to the new job.
  if not raw[3] or raw[3] == status then delete_keys(id, raw[4] or not raw[3]) end
  strike_off(id, status)
  removed = removed + 1
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', index .. status, '-inf', over, 'LIMIT', 0, most)) do remove(id) end
write_tally()
return removed
