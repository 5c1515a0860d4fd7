-- A running job given back by a worker that stops: processing → pending, first in line, no attempt spent.
-- A job released 20 times without a new step pays for each further release, and fails when it cannot pay.
-- `lapse` leaves the job processing with a lease that has ended, so the next claim charges a crash.
--
-- KEYS leases job
-- USES clock tally bell state leave record endings
local FREE_RELEASES = 20
local released = 0
local returns = {}

local function write_returns()
  if #returns > 0 then redis.call('ZADD', leases, unpack(returns)) end
  if released > 0 then ring(released) end
end

local function give_back(id, lease_end)
  returns[#returns + 1] = lease_end
  returns[#returns + 1] = id
  released = released + 1
end

local function release(id, state)
  if state.cancel then return cancel(id, state) end
  local charged = state.idle_releases >= FREE_RELEASES
  if charged and state.attempt >= state.max_attempts then
    return fail(id, state, 'ReleasedTooOften: released ' .. (state.releases + 1) ..
      ' times without finishing a step, and its attempts are spent', '')
  end
  local attempt = charged and state.attempt or state.attempt - 1
  -- The lease counter is attempt + releases: it has to grow by one with each claim.
  local releases = charged and state.releases or state.releases + 1
  redis.call('HSET', job .. id, 'status', 'pending', 'attempt', attempt, 'releases', releases,
    'idle_releases', state.idle_releases + 1, 'lease', '')
  move('processing', 'pending')
  record('released', id, state)
  give_back(id, RELEASED)
end

local function lapse(id)
  give_back(id, LET_GO)
end
