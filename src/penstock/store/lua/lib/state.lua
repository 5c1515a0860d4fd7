-- Reads a job's hash without ever aborting the batch it stands in.
-- Answers the state, or nil and 'gone' (no such job) or 'corrupt' (a hash that makes no sense).
--
-- KEYS job
local SUSPECT_CRASHES = 2
-- Lease ends that no clock gives: a released job's, and that of a running job that was let go.
local RELEASED, LET_GO = 0, 1
local STATUSES = {
  pending = true, processing = true, completed = true, failed = true, cancelled = true,
  retrying = true, scheduled = true, suspended = true, waiting = true,
}

-- Each field asked for costs time, so hot paths ask for the first few; the rest reads as its default.
local FIELDS = { 'status', 'lease', 'message_id', 'lane', 'traits', 'spec', 'attempt',
  'steps', 'crashes', 'releases', 'unrenewed', 'max_attempts', 'cancel', 'idle_releases' }
local FOR_COMPLETION, FOR_FIRST_CLAIM = 5, 7

-- What few jobs have is told by letters, so that one field answers for all of it: a payload apart, c children,
-- k key, l live feed, p parents, q put back, r recorded, s signals, t retention of its own, u unique key, x expiry.
local function has(traits, letter)
  return traits and traits:find(letter, 1, true) ~= nil
end

-- Traits of a job of which nothing outside it knows: no key, parent, child, follower or timer.
local UNBOUND = { r = true, a = true, ra = true }

-- One table for all jobs of a script: a table a job would be the largest part of what Lua allocates.
-- A state is therefore good until the next `read`.
local state = {}

local function read(id, asked)
  local raw = redis.pcall('HMGET', job .. id, unpack(FIELDS, 1, asked or #FIELDS))
  if raw.err then return nil, 'corrupt' end
  local status, spec = raw[1], raw[6]
  if not spec and not status then
    if redis.call('EXISTS', job .. id) == 0 then return nil, 'gone' end
    return nil, 'corrupt'
  end
  local attempt, crashes, releases = tonumber(raw[7] or 0), tonumber(raw[9] or 0), tonumber(raw[10] or 0)
  local max_attempts, steps, idle_releases = tonumber(raw[12] or 3), tonumber(raw[8] or 0), tonumber(raw[14] or 0)
  local ended = status == 'completed' or status == 'failed' or status == 'cancelled'
  -- What has ended is never set aside: only its status still matters.
  local has_spec = spec or asked == FOR_COMPLETION
  local sound = ended or (has_spec and STATUSES[status] and attempt and crashes and releases and max_attempts
    and steps and idle_releases)
  if not sound then return nil, 'corrupt' end
  state.status, state.lease, state.message_id, state.lane = status, raw[2], raw[3], raw[4] or 'normal'
  state.traits, state.steps, state.attempt = raw[5], steps, attempt
  state.recorded, state.apart = has(raw[5], 'r'), has(raw[5], 'a')
  state.spec, state.crashes, state.releases, state.unrenewed = spec, crashes, releases, raw[11] == '1'
  state.max_attempts, state.cancel, state.idle_releases = max_attempts, raw[13] == '1', idle_releases
  state.is_unbound = not raw[5] or UNBOUND[raw[5]]
  state.ended, state.is_new = ended, not raw[7]
  return state
end
