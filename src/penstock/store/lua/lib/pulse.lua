-- An outage is not a death: when nobody's beat was seen for two beats, nothing is reclaimed for a while.
-- A pulse in the future means that the clock jumped back, which tells as little about who lives. Less than a
-- beat is a correction of the clock, or another server's after a failover: leases hold that little longer.
--
-- KEYS leases pulse amnesty
-- USES clock
local PULSE_KEPT_MS = 86400000

-- Leases given before the clock jumped back would hold for as long as it jumped, their holders dead or not.
local function take_leases_back(distance)
  local held = redis.call('ZRANGEBYSCORE', leases, '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES')
  for place = 1, #held, 2 do redis.call('ZADD', leases, held[place + 1] - distance, held[place]) end
end

local function amnesty_until(beat, length)
  local seen = tonumber(redis.call('GET', pulse))
  local jumped_back = seen and seen - now > tonumber(beat)
  if jumped_back then take_leases_back(seen - now) end
  if not seen or jumped_back or now - seen > 2 * tonumber(beat) then
    local ends = now + tonumber(length)
    redis.call('SET', amnesty, ends, 'PX', PULSE_KEPT_MS)
    redis.call('SET', pulse, now, 'PX', PULSE_KEPT_MS)
    return ends
  end
  local ends = tonumber(redis.call('GET', amnesty) or 0)
  -- An end further off than any amnesty can be was written by a clock that has since gone back.
  if ends - now > tonumber(length) then return 0 end
  return ends
end
