-- Gives jobs a signal by name: suspended → pending (or waiting, with a key) when it is the one awaited.
-- A signal that comes before its wait is kept: the k-th wait of a name gets its k-th signal.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled index events bell credits counts home job
-- ARGV now_ms group most_signals
-- EACH id name body
-- USES clock tally bell state trait leave record ready
-- RETURNS one code a signal: 'woken', 'stored', 'ended', 'gone', 'full'
local codes = {}

local function give(id, name, body)
  local state, problem = read(id)
  if problem then return 'gone' end
  if state.ended then return 'ended' end
  local signals = home .. 'signals:' .. id
  if redis.call('HLEN', signals) >= 2 * tonumber(most_signals) then return 'full' end
  local place = redis.call('HINCRBY', signals, name .. '#', 1) - 1
  local field = name .. '#' .. string.format('%.0f', place)
  redis.call('HSET', signals, field, body)
  state.traits = add_trait(id, state.traits, 's')
  if state.status ~= 'suspended' or redis.call('HGET', job .. id, 'awaits') ~= field then return 'stored' end
  leave(id, state)
  make_ready(id, state)
  record('promoted', id, state)
  return 'woken'
end

for at = FIRST, #ARGV, STRIDE do codes[#codes + 1] = give(ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
write_departures()
write_tally()
return codes
