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

local function read(id)
  local raw = redis.pcall('HMGET', job .. id, 'spec', 'status', 'lease', 'attempt', 'crashes',
    'releases', 'message_id', 'lane', 'record', 'max_attempts', 'cancel', 'steps', 'idle_releases', 'apart', 'unrenewed')
  if raw.err then return nil, 'corrupt' end
  local spec, status = raw[1], raw[2]
  if not spec and not status then
    if redis.call('EXISTS', job .. id) == 0 then return nil, 'gone' end
    return nil, 'corrupt'
  end
  local attempt, crashes, releases = tonumber(raw[4] or 0), tonumber(raw[5] or 0), tonumber(raw[6] or 0)
  local max_attempts, steps, idle_releases = tonumber(raw[10] or 3), tonumber(raw[12] or 0), tonumber(raw[13] or 0)
  local ended = status == 'completed' or status == 'failed' or status == 'cancelled'
  -- What has ended is never set aside: only its status still matters.
  local sound = ended or (spec and STATUSES[status] and attempt and crashes and releases and max_attempts
    and steps and idle_releases)
  if not sound then return nil, 'corrupt' end
  return {
    spec = spec, status = status, lease = raw[3], attempt = attempt, crashes = crashes, releases = releases,
    message_id = raw[7], lane = raw[8] or 'normal', recorded = raw[9] == '1', max_attempts = max_attempts,
    cancel = raw[11] == '1', steps = steps, idle_releases = idle_releases, apart = raw[14] == '1',
    unrenewed = raw[15] == '1', ended = ended,
  }
end
