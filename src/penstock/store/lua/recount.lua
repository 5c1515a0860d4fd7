-- Makes the counts agree with what the streams and sets hold, after the auditor has mended those.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index home job
-- USES lanes
-- RETURNS 'ok'
local MOST_READ = 10000

-- Reads the status of each job that waits for a time; of very many, the first tell the share.
local function count_retrying(timed)
  local ids = redis.call('ZRANGE', scheduled, 0, MOST_READ - 1)
  local retrying = 0
  for _, id in ipairs(ids) do
    if redis.pcall('HGET', job .. id, 'status') == 'retrying' then retrying = retrying + 1 end
  end
  if timed <= #ids then return retrying end
  return math.floor(timed * retrying / #ids)
end

local depth = 0
for _, lane in pairs(lanes) do depth = depth + redis.call('XLEN', lane) end
local running = redis.call('ZCOUNT', leases, '(0', '+inf')
local timed = redis.call('ZCARD', scheduled)
local retrying = count_retrying(timed)
redis.call('HSET', counts, 'pending', math.max(depth - running, 0), 'processing', running,
  'retrying', retrying, 'scheduled', timed - retrying,
  'completed', redis.call('ZCARD', index .. 'completed'),
  'failed', redis.call('ZCARD', index .. 'failed'),
  'cancelled', redis.call('ZCARD', index .. 'cancelled'),
  'waiting', redis.call('ZCARD', index .. 'waiting'),
  'suspended', redis.call('ZCARD', index .. 'suspended'))
return 'ok'
