-- Cancels jobs: pending, scheduled, retrying, suspended and waiting → cancelled at once. A running job
-- gets a durable flag; it is cancelled when its handler has stopped, unless it completes before.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell
--      credits home job payload result steps
-- ARGV now_ms group keep_ms
-- EACH id
-- USES clock tally state leave record endings
-- RETURNS one code a job: 'cancelled', 'cancelling', 'ended', 'gone', 'corrupt'
local codes = {}

local function request(id)
  local state, problem = read(id)
  if problem then return problem end
  if state.status == 'cancelled' then return 'cancelled' end
  if state.ended then return 'ended' end
  if state.status == 'processing' then
    redis.call('HSET', job .. id, 'cancel', '1')
    -- Tells the worker at once; should the word be lost, its next beat brings it.
    redis.call('PUBLISH', home .. 'calls', 'cancel ' .. id .. ' ' .. (state.lease or ''))
    return 'cancelling'
  end
  cancel(id, state)
  return 'cancelled'
end

for at = FIRST, #ARGV, STRIDE do codes[#codes + 1] = request(ARGV[at]) end
write_departures()
write_tally()
write_finished()
return codes
