-- Notes how far running jobs have come, each under its lease.
-- The harmless DEL lets it pass at maxmemory: a running job must be able to go on to its end.
--
-- KEYS events job scratch
-- ARGV now_ms
-- EACH id lease percent step
-- USES clock state record
-- RETURNS one code a job: 'ok', 'cancel' (noted, but the job is to stop), 'lost'
redis.call('DEL', scratch)
local codes = {}

local function note(id, lease, percent, step)
  local state = read(id)
  if not state or state.lease ~= lease or state.status ~= 'processing' then return 'lost' end
  if step == '' then
    redis.call('HSET', job .. id, 'progress', percent)
  else
    redis.call('HSET', job .. id, 'progress', percent, 'current_step', step)
  end
  record('progress', id, state, 'percent', percent, 'step', step)
  return state.cancel and 'cancel' or 'ok'
end

for at = FIRST, #ARGV, STRIDE do
  codes[#codes + 1] = note(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
end
return codes
