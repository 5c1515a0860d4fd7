-- Appends a fact about a recorded job to the events stream, in the same atomic step as the fact.
-- The facts of a dead letter that was put back say how often it was.
--
-- KEYS events job
-- USES clock state
local function record(event, id, state, ...)
  if not state.recorded then return nil end
  if has(state.traits, 'q') then
    return redis.call('XADD', events, '*', 'event', event, 'job', id, 'at', now, 'attempt', state.attempt, 'requeues',
      redis.call('HGET', job .. id, 'requeues') or 0, ...)
  end
  return redis.call('XADD', events, '*', 'event', event, 'job', id, 'at', now, 'attempt', state.attempt, ...)
end
