-- Counts of jobs by status, gathered while a script runs and written once.
--
-- KEYS counts
local tally = {}

local function move(from, to)
  if from then tally[from] = (tally[from] or 0) - 1 end
  if to then tally[to] = (tally[to] or 0) + 1 end
end

local function write_tally()
  for status, difference in pairs(tally) do
    if difference ~= 0 then redis.call('HINCRBY', counts, status, difference) end
  end
end
