-- Sets a damaged job aside: its raw content becomes a dead letter, and its hash says what happened.
-- `found_as` is the status it was counted under, as far as the place it was found in tells.
--
-- KEYS dlq job index leases scheduled
-- ARGV keep_ms
-- USES clock tally
local QUARANTINED = 'damaged: the job could not be read and was set aside; its raw content is in the dead letters'

local function raw_content(key, kind)
  if kind == 'hash' then return cjson.encode(redis.call('HGETALL', key)) end
  if kind == 'string' then return redis.call('GET', key) end
  return redis.call('DUMP', key)
end

local function quarantine(id, found_as)
  local key = job .. id
  local kind = redis.call('TYPE', key).ok
  local letter = redis.call('XADD', dlq, '*', 'job', id, 'error', QUARANTINED, 'attempts', 0, 'crashes', 0,
    'at', now, 'traceback', '', 'kind', kind, 'snapshot', raw_content(key, kind))
  redis.call('DEL', key)
  redis.call('HSET', key, 'status', 'failed', 'error', QUARANTINED, 'completed_at', now, 'letter', letter)
  redis.call('PEXPIRE', key, keep_ms)
  redis.call('ZREM', leases, id)
  redis.call('ZREM', scheduled, id)
  redis.call('ZADD', index .. 'failed', now, id)
  move(found_as, 'failed')
end
