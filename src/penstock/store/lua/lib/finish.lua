-- The end of a job. What is written at every end stands here, with the most frequent one.
-- A recorded job gets no key TTL: its retention starts when history has passed its last event.
-- Nor does a job that a worker settles (`keep_ms` is empty): the worker's own janitor removes it. Whoever
-- settles without a worker leaves keys that go by themselves.
--
-- KEYS index payload result steps home
-- ARGV keep_ms
-- USES clock tally state batch leave record
-- LATE letgo flow
local INLINE_LIMIT_BYTES = 16384
local FLOW_KEYS = { 'inputs:', 'signals:', 'live:' }
local finished = {}

local function write_finished()
  for status, indexed in pairs(finished) do
    redis.call('ZADD', index .. status, unpack(indexed))
  end
end

local function expire(id, state, has_result)
  if state.recorded then return end
  redis.call('PEXPIRE', job .. id, keep_ms)
  if state.apart then redis.call('PEXPIRE', payload .. id, keep_ms) end
  if has_result then redis.call('PEXPIRE', result .. id, keep_ms) end
  if state.steps > 0 then redis.call('PEXPIRE', steps .. id, keep_ms) end
  if not state.traits then return end
  for _, kind in ipairs(FLOW_KEYS) do redis.call('PEXPIRE', home .. kind .. id, keep_ms) end
end

-- A retention of the job's own moves its place among the finished, which are removed by time. It is about the
-- result: what failed is kept as dead letters are.
local function retention_shift(id, state, status)
  if status == 'failed' or not has(state.traits, 't') then return 0 end
  return late().flow_of(id).keep_shift or 0
end

local function finish(id, state, status, event_id, has_result, ...)
  leave(id, state)
  if not state.is_unbound then late().let_go(id, state.traits, status) end
  if event_id then
    redis.call('HSET', job .. id, 'status', status, 'completed_at', now, 'event_id', event_id, ...)
  else
    redis.call('HSET', job .. id, 'status', status, 'completed_at', now, ...)
  end
  local indexed = finished[status]
  if not indexed then
    indexed = batch_table()
    finished[status] = indexed
  end
  local size = #indexed
  indexed[size + 1] = state.traits and now + retention_shift(id, state, status) or now
  indexed[size + 2] = id
  move(state.status, status)
  if keep_ms ~= '' then expire(id, state, has_result) end
end

local function complete(id, state, body)
  if #body > INLINE_LIMIT_BYTES then
    redis.call('SET', result .. id, body)
    finish(id, state, 'completed', record('completed', id, state, 'result_apart', '1'), true, 'result_apart', '1')
  elseif #body > 0 then
    finish(id, state, 'completed', record('completed', id, state, 'result', body), false, 'result', body)
  else
    finish(id, state, 'completed', record('completed', id, state), false)
  end
end
