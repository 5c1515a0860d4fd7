-- Links children on other queues to parents on this one, so that they are told when the parent ends.
--
-- KEYS home job
-- EACH parent child
-- USES bonds
-- RETURNS two entries a link: 'linked', 'gone' or how the parent has ended; then the result or error of one
--         that has ended
local answers = {}

local function link(parent, child)
  local status, body = ending_of(parent)
  if not ENDINGS[status] and status ~= 'gone' then
    bear(parent, child)
    status = 'linked'
  end
  answers[#answers + 1] = status
  answers[#answers + 1] = body
end

for at = FIRST, #ARGV, STRIDE do link(ARGV[at], ARGV[at + 1]) end
return answers
