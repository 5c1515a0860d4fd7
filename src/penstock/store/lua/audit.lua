-- Compares what the counts say with what the streams and sets hold.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index
-- RETURNS {counted, held, …}: two numbers each for ready or running, waiting for a time, completed,
--         failed and cancelled
local function counted(...)
  local sum = 0
  for _, value in ipairs(redis.call('HMGET', counts, ...)) do sum = sum + (tonumber(value) or 0) end
  return sum
end

local depth = redis.call('XLEN', stream) + redis.call('XLEN', stream_high) + redis.call('XLEN', stream_low)
  + redis.call('XLEN', stream_suspects)
return {
  counted('pending', 'processing'), depth,
  counted('scheduled', 'retrying'), redis.call('ZCARD', scheduled),
  counted('completed'), redis.call('ZCARD', index .. 'completed'),
  counted('failed'), redis.call('ZCARD', index .. 'failed'),
  counted('cancelled'), redis.call('ZCARD', index .. 'cancelled'),
}
