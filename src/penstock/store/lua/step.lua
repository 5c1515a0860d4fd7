-- Stores finished steps, each under its job's lease and never twice: a step that is there stays.
-- The harmless DEL lets it pass at maxmemory: a running job must be able to go on to its end.
--
-- KEYS events job steps scratch
-- ARGV now_ms most_steps
-- EACH id lease name body
-- USES clock state record
-- RETURNS one code a step: 'ok', 'cancel' (stored, but the job is to stop), 'lost', 'full', 'corrupt'
redis.call('DEL', scratch)
local codes = {}

local function store(id, lease, name, body)
  local state = read(id)
  if not state or state.lease ~= lease or state.status ~= 'processing' then return 'lost' end
  if state.steps >= tonumber(most_steps) and redis.pcall('HEXISTS', steps .. id, name) == 0 then return 'full' end
  local fresh = redis.pcall('HSETNX', steps .. id, name, body)
  if type(fresh) == 'table' then return 'corrupt' end
  if fresh == 1 then
    redis.call('HSET', job .. id, 'steps', state.steps + 1, 'current_step', name, 'idle_releases', 0)
    record('step', id, state, 'name', name, 'body', body)
  end
  return state.cancel and 'cancel' or 'ok'
end

for at = FIRST, #ARGV, STRIDE do
  codes[#codes + 1] = store(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
end
return codes
