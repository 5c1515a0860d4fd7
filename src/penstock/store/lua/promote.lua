-- Moves due jobs to their lane: scheduled → pending, retrying → pending. Damaged ones are set aside.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell job
-- ARGV now_ms group keep_ms most
-- USES clock tally bell state lanes leave record quarantine
-- RETURNS {promoted, next_ms}: jobs moved, and the time until the next is due (-1: none)
local promoted = 0

local function promote(id)
  local state, problem = read(id)
  if problem == 'corrupt' then return quarantine(id, 'scheduled') end
  redis.call('ZREM', scheduled, id)
  if problem or (state.status ~= 'scheduled' and state.status ~= 'retrying') then return end
  local lane = state.crashes >= SUSPECT_CRASHES and 'suspects' or state.lane
  local message_id = redis.call('XADD', lanes[lane] or stream, '*', 'id', id)
  redis.call('HSET', job .. id, 'status', 'pending', 'message_id', message_id)
  if lane ~= 'normal' then redis.call('HSET', job .. id, 'lane', lane) end
  move(state.status, 'pending')
  record('promoted', id, state)
  promoted = promoted + 1
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, most)) do promote(id) end
write_departures()
write_tally()
if promoted > 0 then ring(promoted) end
local due = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2]
return { promoted, due and math.max(tonumber(due) - now, 0) or -1 }
