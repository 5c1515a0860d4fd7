-- Looks after keys: a holder whose job is gone, or stands where it holds nothing, is evicted, and a key with a line
-- has its turn again.
--
-- KEYS home job credits bell
-- EACH key
-- USES line
-- RETURNS how many holders were evicted
local evicted = 0

local function tend(key)
  evicted = evicted + evict(key, redis.call('SMEMBERS', home .. 'holders:' .. key))
  for _, lane in ipairs(HOME_LANES) do
    if redis.call('EXISTS', home .. 'line:' .. lane .. ':' .. key) == 1 then give_turn(lane, key) end
  end
end

for at = FIRST, #ARGV do tend(ARGV[at]) end
write_wakes()
return evicted
