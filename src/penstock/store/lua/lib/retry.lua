-- A failed attempt that gets another: processing → retrying. The wait is in Redis, never in a worker.
-- `defer` is the same for a job that this worker cannot run (an unknown type): no attempt is spent.
-- A job whose cancellation was asked for ends here instead.
--
-- KEYS scheduled job home
-- USES clock tally leave record endings letgo flow
local function wait_for(id, state, delay_ms, event, problem, ...)
  if state.cancel then return cancel(id, state) end
  leave(id, state)
  if state.traits then let_go_of_place(id, state.traits) end
  redis.call('HSET', job .. id, 'status', 'retrying', 'error', problem, ...)
  redis.call('ZADD', scheduled, now + delay_ms, id)
  move('processing', 'retrying')
  record(event, id, state, 'error', problem, 'delay_ms', delay_ms)
end

local function retry(id, state, problem, delay_ms)
  wait_for(id, state, delay_ms, 'retrying', problem)
end

-- `grace_ms` bounds how long a job goes back this way, from the first time on; empty, it does for ever.
local function defer(id, state, problem, delay_ms, grace_ms)
  if grace_ms ~= '' then
    redis.call('HSETNX', job .. id, 'unknown_since', now)
    if now - tonumber(redis.call('HGET', job .. id, 'unknown_since')) >= tonumber(grace_ms) then
      local given_up = string.format('; nobody who took the job within %.0f s could run it', grace_ms / 1000)
      return fail(id, state, problem .. given_up, '')
    end
  end
  wait_for(id, state, delay_ms, 'deferred', problem, 'attempt', state.attempt - 1, 'releases', state.releases + 1)
end

-- A retry because the key's provider asked for a pause: the others of that key wait as well.
local function back_off(id, state, problem, delay_ms)
  local key = has(state.traits, 'k') and flow_of(id).rate
  if key then redis.call('ZADD', home .. 'pauses', 'GT', now + delay_ms, key) end
  retry(id, state, problem, delay_ms)
end
