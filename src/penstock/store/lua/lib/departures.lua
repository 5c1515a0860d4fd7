-- Messages that leave their lane, gathered and written once a script: XACK and XDEL take many at a time.
--
-- ARGV group
-- USES batch lanes
local departures = {}

local function leave_message(lane, message_id)
  local home_lane = lanes[lane] or stream
  local leaving = departures[home_lane]
  if not leaving then
    leaving = batch_table()
    departures[home_lane] = leaving
  end
  leaving[#leaving + 1] = message_id
end

local function write_messages()
  for home_lane, leaving in pairs(departures) do
    redis.pcall('XACK', home_lane, group, unpack(leaving))
    redis.call('XDEL', home_lane, unpack(leaving))
  end
  departures = {}
end
