-- Sets a damaged job aside: its raw content becomes a dead letter, and its hash says what happened.
-- It was counted under the status its hash says, or if that is damaged too under `found_as`, as far as the
-- place it was found in tells.
--
-- KEYS dlq events job index leases scheduled home
-- ARGV keep_ms
-- USES clock tally state leave flow line letgo
-- As if it had children, a feed and more.
local UNKNOWN_TRAITS = 'cl'
local QUARANTINED = 'damaged: the job could not be read and was set aside; its raw content is in the dead letters'

local function raw_content(key, kind)
  if kind == 'hash' then return cjson.encode(redis.call('HGETALL', key)) end
  if kind == 'string' then return redis.call('GET', key) end
  return redis.call('DUMP', key)
end

-- Whatever cannot be read, its children are told. What it held of a key is found by the auditor.
local function salvage_unreadable(id)
  if redis.call('EXISTS', home .. 'children:' .. id) == 1 then redis.call('RPUSH', home .. 'fanout', id) end
  return nil, UNKNOWN_TRAITS, nil
end

-- What can still be read of it: answers its status and traits, frees its message, and lets history know if it was
-- recorded.
local function salvage(id, kind)
  if kind ~= 'hash' then return salvage_unreadable(id) end
  local raw = redis.call('HMGET', job .. id, 'message_id', 'lane', 'traits', 'status')
  local status, traits = STATUSES[raw[4]] and raw[4] or nil, raw[3] or ''
  if raw[1] and raw[1]:match('^%d+%-%d+$') then leave_message(raw[2], raw[1]) end
  if has(traits, 'k') then leave_line(id, flow_of(id)) end
  let_go(id, traits, 'failed')
  if not has(traits, 'r') then return status, traits, nil end
  return status, traits, redis.call('XADD', events, '*', 'event', 'failed', 'job', id, 'at', now, 'attempt', 0,
    'error', QUARANTINED)
end

-- From wherever it stood, and from what would wake it.
local function strike_everywhere(id)
  for _, place in ipairs({ leases, scheduled, index .. 'waiting', index .. 'suspended' }) do
    redis.call('ZREM', place, id)
  end
  redis.call('ZREM', home .. 'timers', 'job ' .. id, 'late ' .. id)
  redis.call('DEL', home .. 'parents:' .. id)
end

local function quarantine(id, found_as)
  local key = job .. id
  local kind = redis.call('TYPE', key).ok
  local status, traits, event_id = salvage(id, kind)
  local letter = redis.call('XADD', dlq, '*', 'job', id, 'error', QUARANTINED, 'attempts', 0, 'crashes', 0,
    'at', now, 'traceback', '', 'kind', kind, 'snapshot', raw_content(key, kind))
  redis.call('DEL', key)
  -- The traits say what else there is to forget when its retention is over.
  redis.call('HSET', key, 'status', 'failed', 'error', QUARANTINED, 'completed_at', now, 'letter', letter,
    'traits', traits)
  if event_id then
    redis.call('HSET', key, 'event_id', event_id)
  else
    if keep_ms ~= '' then redis.call('PEXPIRE', key, keep_ms) end
  end
  strike_everywhere(id)
  redis.call('ZADD', index .. 'failed', now, id)
  move(status or found_as, 'failed')
end
