-- One heartbeat: writes the pulse, registers the worker, renews its leases, and tells what it lost.
-- The first command is a harmless DEL: after it the script goes on even at maxmemory, on all servers.
--
-- KEYS leases pulse amnesty workers job scratch
-- ARGV now_ms worker_id incarnation info lease_ms beat_ms amnesty_ms starting
-- EACH id lease
-- USES clock state pulse
-- RETURNS {'ok' or 'superseded', {ids whose lease is lost}, {ids to cancel}}
redis.call('DEL', scratch)
amnesty_until(beat_ms, amnesty_ms)
local known = redis.call('HGET', workers, worker_id)
if known and starting ~= '1' and known:match('^(%S+) ') ~= incarnation then return { 'superseded', {}, {} } end
redis.call('HSET', workers, worker_id, incarnation .. ' ' .. now .. ' ' .. info)
redis.call('SET', pulse, now, 'PX', PULSE_KEPT_MS)

local lost, cancelled, renewed = {}, {}, {}
for at = FIRST, #ARGV, STRIDE do
  local id, lease = ARGV[at], ARGV[at + 1]
  local state = read(id)
  if state and state.status == 'processing' and state.lease == lease then
    renewed[#renewed + 1] = now + tonumber(lease_ms)
    renewed[#renewed + 1] = id
    if state.cancel then cancelled[#cancelled + 1] = id end
  else
    lost[#lost + 1] = id
  end
end
if #renewed > 0 then redis.call('ZADD', leases, unpack(renewed)) end
return { 'ok', lost, cancelled }
