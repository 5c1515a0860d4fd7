-- The script's clock: the time handed in by tests, else the server's own.
--
-- ARGV now_ms
local now = tonumber(now_ms)
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
