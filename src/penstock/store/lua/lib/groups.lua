-- What the group has been given of each lane.
--
-- ARGV group
-- USES lanes
local function facts_of_group(lane)
  local groups = redis.pcall('XINFO', 'GROUPS', lane)
  if groups.err then return nil end
  for _, info in ipairs(groups) do
    local facts = {}
    for place = 1, #info, 2 do facts[info[place]] = info[place + 1] end
    if facts.name == group then return { pending = facts.pending, last = facts['last-delivered-id'] } end
  end
  return nil
end
