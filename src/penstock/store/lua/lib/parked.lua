-- Jobs that hold no slot and no message: waiting (for parents, or for their key's turn) and suspended.
-- An index keeps them by time; what they wait for keeps them too.
--
-- KEYS home index
-- USES clock flow state line
local function park(id, status)
  redis.call('ZADD', index .. status, now, id)
end

local function leave_parked(id, state)
  redis.call('ZREM', index .. state.status, id)
  if state.status == 'suspended' then
    redis.call('ZREM', home .. 'timers', 'job ' .. id)
    return
  end
  if has(state.traits, 'p') then redis.call('DEL', home .. 'parents:' .. id) end
  if has(state.traits, 'k') then leave_line(id, flow_of(id)) end
end
