-- Sets what a key may do: places at once, and jobs and units within a moving window; 0 means no limit.
-- Or pauses it until a time. Who waits for the key looks at once what the new limit allows.
--
-- KEYS home credits bell job
-- ARGV now_ms key places jobs units window_ms paused_until
-- USES clock line
-- RETURNS 'ok'
local LOOK_AGAIN_MS = 1000
if paused_until ~= '' then
  if paused_until == '0' then
    redis.call('ZREM', home .. 'pauses', key)
  else
    redis.call('ZADD', home .. 'pauses', paused_until, key)
  end
elseif places .. jobs .. units == '000' then
  redis.call('HDEL', home .. 'limits', key)
else
  redis.call('HSET', home .. 'limits', key, places .. ' ' .. jobs .. ' ' .. units .. ' ' .. window_ms)
end
for _, lane in ipairs(HOME_LANES) do
  if redis.call('EXISTS', home .. 'line:' .. lane .. ':' .. key) == 1 then give_turn(lane, key) end
  open_rate(lane, key, now + LOOK_AGAIN_MS)
end
write_wakes()
return 'ok'
