-- Appends a fact about a recorded job to the events stream, in the same atomic step as the fact.
--
-- KEYS events
-- USES clock
local function record(event, id, state, ...)
  if not state.recorded then return nil end
  return redis.call('XADD', events, '*', 'event', event, 'job', id, 'at', now, 'attempt', state.attempt, ...)
end
