-- The one way out of a state: frees what the job held there.
-- Departures are gathered and written once a script, since XACK, XDEL and ZREM take many at a time.
--
-- KEYS leases scheduled
-- ARGV group
-- USES lanes
local departures = {}
local unleased = {}
local unscheduled = {}

local function leave_message(lane, message_id)
  local home = lanes[lane] or stream
  local leaving = departures[home]
  if not leaving then
    leaving = {}
    departures[home] = leaving
  end
  leaving[#leaving + 1] = message_id
end

local function leave(id, state)
  if state.message_id then leave_message(state.lane, state.message_id) end
  if state.status == 'processing' or state.status == 'pending' then
    unleased[#unleased + 1] = id
  else
    unscheduled[#unscheduled + 1] = id
  end
end

local function write_departures()
  for home, leaving in pairs(departures) do
    redis.pcall('XACK', home, group, unpack(leaving))
    redis.call('XDEL', home, unpack(leaving))
  end
  if #unleased > 0 then redis.call('ZREM', leases, unpack(unleased)) end
  if #unscheduled > 0 then redis.call('ZREM', scheduled, unpack(unscheduled)) end
  departures, unleased, unscheduled = {}, {}, {}
end
