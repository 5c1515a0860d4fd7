-- A job that waits for a signal or a time: processing → suspended. It holds no slot and spends no attempt.
-- A signal that came before the wait is not missed: the job is due at once.
--
-- KEYS home job
-- USES clock tally leave record endings letgo parked
local function suspend(id, state, reason, delay_ms, awaited)
  if state.cancel then return cancel(id, state) end
  leave(id, state)
  if state.traits then let_go_of_place(id, state.traits) end
  if awaited ~= '' and redis.call('HEXISTS', home .. 'signals:' .. id, awaited) == 1 then delay_ms = 0 end
  -- The lease stays on the job, so that a repeated call answers that this was settled.
  redis.call('HSET', job .. id, 'status', 'suspended', 'attempt', state.attempt - 1, 'releases', state.releases + 1,
    'awaits', awaited, 'reason', reason)
  park(id, 'suspended')
  if delay_ms >= 0 then
    redis.call('ZADD', home .. 'timers', now + delay_ms, 'job ' .. id)
    wake_later()
  end
  move('processing', 'suspended')
  record('suspended', id, state, 'reason', reason, 'delay_ms', delay_ms)
end
