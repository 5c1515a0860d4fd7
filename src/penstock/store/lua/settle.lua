-- Settles attempts, each under the lease it was claimed with: processing → completed, retrying, failed,
-- cancelled, suspended or pending (a release). An outcome that was settled before answers 'already', a lease that is
-- no longer the job's answers 'lost' and changes nothing.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell scratch
--      home credits job payload result steps
-- ARGV now_ms group keep_ms
-- EACH id lease outcome body delay_ms detail
-- USES clock tally bell state leave record finish quarantine release retry suspend
-- RETURNS one code a job: 'ok', 'already', 'lost', 'gone', 'corrupt', 'unknown'
redis.call('DEL', scratch)
local outcomes = {
  complete = function(id, state, body) complete(id, state, body) end,
  fail = function(id, state, body, _, detail) fail(id, state, body, detail) end,
  cancel = function(id, state) cancel(id, state) end,
  retry = retry,
  back_off = back_off,
  suspend = suspend,
  defer = defer,
  release = release,
  lapse = lapse,
}
local codes = {}

local function settle(at)
  local id, lease, outcome = ARGV[at], ARGV[at + 1], outcomes[ARGV[at + 2]]
  if not outcome then return 'unknown' end
  local state, problem = read(id, ARGV[at + 2] == 'complete' and FOR_COMPLETION or FOR_ALL)
  if problem == 'corrupt' then quarantine(id, 'processing') end
  if problem then return problem end
  if state.lease ~= lease then return 'lost' end
  if state.status ~= 'processing' then return 'already' end
  outcome(id, state, ARGV[at + 3], tonumber(ARGV[at + 4]), ARGV[at + 5])
  return 'ok'
end

for at = FIRST, #ARGV, STRIDE do codes[#codes + 1] = settle(at) end
write_departures()
write_tally()
write_finished()
write_returns()
return codes
