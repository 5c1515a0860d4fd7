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

local FIELDS = { 'status', 'lease', 'message_id', 'lane', 'traits', 'spec', 'attempt',
  'steps', 'crashes', 'releases', 'unrenewed', 'max_attempts', 'cancel', 'idle_releases' }

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

local function note_traits(traits)
  if traits then
    state.traits, state.recorded, state.apart = traits, has(traits, 'r'), has(traits, 'a')
    state.is_unbound = UNBOUND[traits]
  else
    state.traits, state.recorded, state.apart, state.is_unbound = nil, false, false, true
  end
end

local function read(id)
  local raw = redis.pcall('HMGET', job .. id, unpack(FIELDS))
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
  local sound = ended or (spec and STATUSES[status] and attempt and crashes and releases and max_attempts
    and steps and idle_releases)
  if not sound then return nil, 'corrupt' end
  state.status, state.lease, state.message_id, state.lane = status, raw[2], raw[3], raw[4] or 'normal'
  state.steps, state.attempt = steps, attempt
  note_traits(raw[5])
  state.spec, state.crashes, state.releases, state.unrenewed = spec, crashes, releases, raw[11] == '1'
  state.max_attempts, state.cancel, state.idle_releases = max_attempts, raw[13] == '1', idle_releases
  state.ended = ended
  return state
end

-- Each field asked for costs time, and these two are asked for every job: what a claim needs of one that waits on
-- a lane and never ran, and what its completion needs. A claim reads any other job whole.
local function read_new(id, lane)
  local raw = redis.pcall('HMGET', job .. id, 'status', 'message_id', 'spec', 'traits', 'attempt')
  if raw[1] ~= 'pending' or not raw[3] or raw[5] then return read(id) end
  state.status, state.message_id, state.lane, state.spec, state.ended = 'pending', raw[2], lane, raw[3], false
  state.steps, state.attempt, state.crashes, state.releases, state.unrenewed = 0, 0, 0, 0, false
  note_traits(raw[4])
  return state
end

local function read_running(id)
  local raw = redis.pcall('HMGET', job .. id, 'status', 'lease', 'message_id', 'lane', 'traits')
  local status = raw[1]
  if not STATUSES[status] then return read(id) end
  state.status, state.lease, state.message_id, state.lane = status, raw[2], raw[3], raw[4] or 'normal'
  state.ended = status == 'completed' or status == 'failed' or status == 'cancelled'
  note_traits(raw[5])
  return state
end
