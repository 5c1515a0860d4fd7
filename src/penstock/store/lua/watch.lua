-- Marks jobs as watched: their end is told to those who follow them.
--
-- KEYS job
-- EACH id
-- USES trait
-- RETURNS one entry a job: its status, or 'gone'
local answers = {}
for at = FIRST, #ARGV, STRIDE do
  local id = ARGV[at]
  local raw = redis.pcall('HMGET', job .. id, 'status', 'traits')
  if raw.err or not raw[1] then
    answers[#answers + 1] = 'gone'
  else
    local ended = raw[1] == 'completed' or raw[1] == 'failed' or raw[1] == 'cancelled'
    if not ended then add_trait(id, raw[2], 'l') end
    answers[#answers + 1] = raw[1]
  end
end
return answers
