-- Appends entries to the live feeds of running jobs, each under its lease.
-- The harmless DEL lets it pass at maxmemory: a running job must be able to go on to its end.
--
-- KEYS home job scratch
-- ARGV now_ms most_entries
-- EACH id lease kind body
-- USES clock state trait
-- RETURNS one code an entry: 'ok', 'cancel' (appended, but the job is to stop), 'lost', 'full'
redis.call('DEL', scratch)
local codes = {}

local function append(id, lease, kind, body)
  local state = read(id)
  if not state or state.lease ~= lease or state.status ~= 'processing' then return 'lost' end
  local feed = home .. 'live:' .. id
  if redis.call('XLEN', feed) >= tonumber(most_entries) then return 'full' end
  redis.call('XADD', feed, '*', 'kind', kind, 'at', now, 'body', body)
  add_trait(id, state.traits, 'l')
  redis.call('PUBLISH', home .. 'calls', 'emit ' .. id)
  return state.cancel and 'cancel' or 'ok'
end

for at = FIRST, #ARGV, STRIDE do
  codes[#codes + 1] = append(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
end
return codes
