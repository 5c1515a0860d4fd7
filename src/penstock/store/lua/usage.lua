-- Adds what running jobs say they used to the sums of the hour, each under its lease.
-- Units also correct what the job had booked of its key's rate.
--
-- KEYS home job scratch
-- ARGV now_ms keep_usage_ms
-- EACH id lease type name amount
-- USES clock state flow rates
-- RETURNS one code an entry: 'ok', 'cancel' (added, but the job is to stop), 'lost'
redis.call('DEL', scratch)
local HOUR_MS = 3600000
local sums = home .. 'usage:' .. string.format('%.0f', math.floor(now / HOUR_MS) * HOUR_MS / 1000)
local codes = {}

local function add(id, lease, kind, name, amount)
  local state = read(id)
  if not state or state.lease ~= lease or state.status ~= 'processing' then return 'lost' end
  local options = state.traits and flow_of(id) or {}
  redis.call('HINCRBYFLOAT', sums, kind .. '|' .. (options.key or options.rate or '') .. '|' .. name, amount)
  if name == 'units' and options.rate then use_units(options.rate, id, math.ceil(tonumber(amount))) end
  return state.cancel and 'cancel' or 'ok'
end

for at = FIRST, #ARGV, STRIDE do
  codes[#codes + 1] = add(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
end
redis.call('PEXPIRE', sums, keep_usage_ms)
return codes
