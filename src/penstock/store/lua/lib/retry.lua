-- A failed attempt that gets another: processing → retrying. The wait is in Redis, never in a worker.
-- `defer` is the same for a job that this worker cannot run (an unknown type): no attempt is spent.
-- A job whose cancellation was asked for ends here instead.
--
-- KEYS scheduled job
-- USES clock tally leave record finish
local function wait_for(id, state, delay_ms, event, problem, ...)
  if state.cancel then return cancel(id, state) end
  leave(id, state)
  redis.call('HSET', job .. id, 'status', 'retrying', 'error', problem, ...)
  redis.call('ZADD', scheduled, now + delay_ms, id)
  move('processing', 'retrying')
  record(event, id, state, 'error', problem, 'delay_ms', delay_ms)
end

local function retry(id, state, problem, delay_ms)
  wait_for(id, state, delay_ms, 'retrying', problem)
end

local function defer(id, state, problem, delay_ms)
  wait_for(id, state, delay_ms, 'deferred', problem, 'attempt', state.attempt - 1, 'releases', state.releases + 1)
end
