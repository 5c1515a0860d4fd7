-- Makes the counts agree with what the streams and sets hold, after the auditor has mended those.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index
-- RETURNS 'ok'
local depth = redis.call('XLEN', stream) + redis.call('XLEN', stream_high) + redis.call('XLEN', stream_low)
  + redis.call('XLEN', stream_suspects)
local running = redis.call('ZCOUNT', leases, '(0', '+inf')
local timed = redis.call('ZCARD', scheduled)
local retrying = math.min(tonumber(redis.call('HGET', counts, 'retrying')) or 0, timed)
redis.call('HSET', counts, 'pending', math.max(depth - running, 0), 'processing', running,
  'retrying', retrying, 'scheduled', timed - retrying,
  'completed', redis.call('ZCARD', index .. 'completed'),
  'failed', redis.call('ZCARD', index .. 'failed'),
  'cancelled', redis.call('ZCARD', index .. 'cancelled'))
return 'ok'
