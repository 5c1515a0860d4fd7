-- Puts jobs of dead workers back in line without claiming them: processing → pending, failed or cancelled.
-- The lease is the truth: one that has not ended is left alone whatever `idle_ms` says.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell pulse
--      amnesty credits home job payload result steps
-- ARGV now_ms group idle_ms lease_ms beat_ms amnesty_ms keep_ms most
-- USES clock tally bell state leave record endings quarantine lapse pulse
-- RETURNS how many jobs were put back
local returned = {}

local function put_back(id, lapsed_at)
  local state, problem = read(id)
  if problem == 'gone' then redis.call('ZREM', leases, id) return end
  if problem then quarantine(id, 'processing') return end
  if state.status ~= 'processing' or is_spared(state, lapsed_at) then return end
  if charge_crash(id, state) == 'ended' then return end
  if state.crashes >= SUSPECT_CRASHES then
    seat_among_suspects(id, state)
  else
    redis.call('HSET', job .. id, 'status', 'pending', 'lease', '')
    redis.call('ZADD', leases, RELEASED, id)
    move('processing', 'pending')
  end
  returned[#returned + 1] = id
end

local silent_since = math.min(now, now - tonumber(idle_ms) + tonumber(lease_ms))
local lapsed = redis.call('ZRANGEBYSCORE', leases, '(' .. RELEASED, silent_since, 'WITHSCORES',
  'LIMIT', 0, 16 * most)
if #lapsed > 0 then
  declare_amnesty(beat_ms, amnesty_ms)
  for place = 1, #lapsed, 2 do
    if #returned >= tonumber(most) then break end
    put_back(lapsed[place], tonumber(lapsed[place + 1]))
  end
end
write_departures()
write_tally()
write_finished()
if #returned > 0 then ring(#returned) end
return #returned
