-- Sets a damaged job aside: its raw content becomes a dead letter, and its hash says what happened.
-- It was counted under the status its hash says, or if that is damaged too under `found_as`, as far as the
-- place it was found in tells.
--
-- KEYS dlq events job index leases scheduled home
-- ARGV keep_ms
-- USES clock tally state leave letgo
local QUARANTINED = 'damaged: the job could not be read and was set aside; its raw content is in the dead letters'

local function raw_content(key, kind)
  if kind == 'hash' then return cjson.encode(redis.call('HGETALL', key)) end
  if kind == 'string' then return redis.call('GET', key) end
  return redis.call('DUMP', key)
end

-- What can still be read of it: answers its status, frees its message, and lets history know if it was recorded.
local function salvage(id, kind)
  if kind ~= 'hash' then return nil, nil end
  local raw = redis.call('HMGET', job .. id, 'message_id', 'lane', 'traits', 'status')
  if raw[1] and raw[1]:match('^%d+%-%d+$') then leave_message(raw[2], raw[1]) end
  local status = STATUSES[raw[4]] and raw[4] or nil
  if raw[3] then let_go(id, raw[3], 'failed') end
  if not has(raw[3], 'r') then return status, nil end
  return status, redis.call('XADD', events, '*', 'event', 'failed', 'job', id, 'at', now, 'attempt', 0, 'error', QUARANTINED)
end

local function quarantine(id, found_as)
  local key = job .. id
  local kind = redis.call('TYPE', key).ok
  local status, event_id = salvage(id, kind)
  local letter = redis.call('XADD', dlq, '*', 'job', id, 'error', QUARANTINED, 'attempts', 0, 'crashes', 0,
    'at', now, 'traceback', '', 'kind', kind, 'snapshot', raw_content(key, kind))
  redis.call('DEL', key)
  redis.call('HSET', key, 'status', 'failed', 'error', QUARANTINED, 'completed_at', now, 'letter', letter)
  if event_id then
    redis.call('HSET', key, 'event_id', event_id)
  else
    if keep_ms ~= '' then redis.call('PEXPIRE', key, keep_ms) end
  end
  redis.call('ZREM', leases, id)
  redis.call('ZREM', scheduled, id)
  redis.call('ZREM', index .. 'waiting', id)
  redis.call('ZREM', index .. 'suspended', id)
  redis.call('ZADD', index .. 'failed', now, id)
  move(status or found_as, 'failed')
end
