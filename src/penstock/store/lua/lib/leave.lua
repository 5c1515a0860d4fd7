-- The one way out of a state: takes the job from where it stands.
-- Departures are gathered and written once a script.
--
-- KEYS leases scheduled home bell
-- USES batch departures bell
-- LATE parked
local unleased = nil
local unscheduled = {}

local function unlease(id)
  unleased = unleased or batch_table()
  unleased[#unleased + 1] = id
end

local function leave(id, state)
  local status = state.status
  if status == 'waiting' or status == 'suspended' then return late().leave_parked(id, state) end
  if state.message_id then leave_message(state.lane, state.message_id) end
  if status == 'processing' or status == 'pending' then
    unlease(id)
  else
    unscheduled[#unscheduled + 1] = id
  end
end

local function write_departures()
  write_messages()
  if unleased then redis.call('ZREM', leases, unpack(unleased)) end
  if #unscheduled > 0 then redis.call('ZREM', scheduled, unpack(unscheduled)) end
  unleased, unscheduled = nil, {}
  write_wakes()
end
