-- Makes a job ready: on its lane, or in its key's line. The one way to where workers find it.
--
-- KEYS stream_suspects home bell
-- USES clock tally bell state lanes flow line parked record
local function put_on_lane(id, state)
  local lane = state.crashes >= SUSPECT_CRASHES and 'suspects' or state.lane
  local message_id = redis.call('XADD', lanes[lane] or stream, '*', 'id', id)
  if lane == 'normal' then
    redis.call('HSET', job .. id, 'status', 'pending', 'message_id', message_id)
  else
    redis.call('HSET', job .. id, 'status', 'pending', 'message_id', message_id, 'lane', lane)
  end
  move(state.status, 'pending')
  wake_later()
end

local function wait_in_line(id, state)
  stand_in_line(id, flow_of(id))
  park(id, 'waiting')
  redis.call('HSET', job .. id, 'status', 'waiting')
  redis.call('HDEL', job .. id, 'message_id')
  move(state.status, 'waiting')
end

local function make_ready(id, state)
  if has(state.traits, 'k') then return wait_in_line(id, state) end
  put_on_lane(id, state)
end
