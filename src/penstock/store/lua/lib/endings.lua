-- The other ends of a job: failed with a dead letter, or cancelled.
--
-- KEYS dlq
-- USES clock state flow record finish
local function fail(id, state, problem, detail)
  local letter = redis.call('XADD', dlq, '*', 'job', id, 'error', problem, 'attempts', state.attempt,
    'crashes', state.crashes, 'at', now, 'traceback', detail, 'snapshot', state.spec)
  local event_id = record('failed', id, state, 'error', problem)
  finish(id, state, 'failed', event_id, false, 'error', problem, 'letter', letter)
end

local function cancel(id, state, problem)
  if problem then
    return finish(id, state, 'cancelled', record('cancelled', id, state, 'error', problem), false, 'error', problem)
  end
  finish(id, state, 'cancelled', record('cancelled', id, state), false)
end

local EXPIRED = 'Expired: the job had not started by its expires_at'

-- Each claim adds one to the sum: what is not charged as an attempt is counted as a release.
local function has_started(state)
  return state.attempt + state.releases > 0
end

-- A job is to start by its expiry; one that has started goes on, whatever it waits for by then.
local function is_late(id, state)
  return has(state.traits, 'x') and not has_started(state) and tonumber(flow_of(id).expires) <= now
end
