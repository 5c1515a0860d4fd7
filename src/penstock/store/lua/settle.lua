-- Settles attempts, each under the lease it was claimed with: processing → completed, retrying, failed,
-- cancelled, suspended or pending (a release). An outcome that was settled before answers 'already', a lease that is
-- no longer the job's answers 'lost' and changes nothing.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index events bell scratch home
--      job payload result steps
-- ARGV now_ms group keep_ms
-- EACH id lease outcome body delay_ms detail
-- USES clock tally bell state batch leave record finish
-- LATE outcomes
-- RETURNS one code a job: 'ok', 'already', 'lost', 'gone', 'corrupt', 'unknown'
redis.call('DEL', scratch)
batch_size = (#ARGV - FIRST + 1) / STRIDE
local codes = batch_table()

-- What history is told, and keys that are to go by themselves, need some more than a completion.
local function read_on(id, state)
  local raw = redis.call('HMGET', job .. id, 'attempt', 'steps')
  state.attempt, state.steps = tonumber(raw[1] or 0), tonumber(raw[2] or 0)
  if not (state.ended or state.attempt and state.steps) then return nil, 'corrupt' end
  return state
end

local function settle_complete(id, lease, body)
  local state, problem = read_running(id)
  if state and (state.recorded or keep_ms ~= '') then state, problem = read_on(id, state) end
  if problem == 'corrupt' then late().quarantine(id, 'processing') end
  if problem then return problem end
  if state.lease ~= lease then return 'lost' end
  if state.status ~= 'processing' then return 'already' end
  complete(id, state, body)
  return 'ok'
end

local function settle_otherwise(id, lease, kind, body, delay_ms, detail)
  local outcome = late().outcomes[kind]
  if not outcome then return 'unknown' end
  local state, problem = read(id)
  if problem == 'corrupt' then late().quarantine(id, 'processing') end
  if problem then return problem end
  if state.lease ~= lease then return 'lost' end
  if state.status ~= 'processing' then return 'already' end
  outcome(id, state, body, tonumber(delay_ms), detail)
  return 'ok'
end

for at = FIRST, #ARGV, STRIDE do
  local id, lease, kind = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if kind == 'complete' then
    codes[#codes + 1] = settle_complete(id, lease, ARGV[at + 3])
  else
    codes[#codes + 1] = settle_otherwise(id, lease, kind, ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
  end
end
write_departures()
write_tally()
write_finished()
if was_late then late().write_returns() end
return codes
