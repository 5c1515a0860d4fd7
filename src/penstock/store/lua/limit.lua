-- Sets what a key may do: places at once, and jobs and units within a moving window; 0 means no limit.
-- Or pauses it until a time. Its line has a turn at once, to see what the new limit allows.
--
-- KEYS home credits bell job
-- ARGV key places jobs units window_ms paused_until
-- USES line
-- RETURNS 'ok'
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
end
write_wakes()
return 'ok'
