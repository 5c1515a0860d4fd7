-- Trims the events stream to the least of what its required groups have acknowledged.
-- Without required groups nobody needs the past: the newest `max_events` are kept.
--
-- KEYS events
-- ARGV max_events
-- EACH group
-- USES order
-- RETURNS how many events were removed
if redis.call('EXISTS', events) == 0 then return 0 end
if #ARGV < FIRST then return redis.call('XTRIM', events, 'MAXLEN', max_events) end

local required = {}
for at = FIRST, #ARGV do required[ARGV[at]] = true end

local function following(id)
  local ms, place = id:match('(%d+)-(%d+)')
  return ms .. '-' .. string.format('%.0f', tonumber(place) + 1)
end

local least = nil
for _, info in ipairs(redis.call('XINFO', 'GROUPS', events)) do
  local facts = {}
  for place = 1, #info, 2 do facts[info[place]] = info[place + 1] end
  if required[facts.name] then
    required[facts.name] = nil
    local passed = following(facts['last-delivered-id'])
    if facts.pending > 0 then passed = redis.call('XPENDING', events, facts.name)[2] end
    if not least or is_before(passed, least) then least = passed end
  end
end
-- A required group that is missing has read nothing yet: it is made at the beginning.
for group in pairs(required) do
  redis.call('XGROUP', 'CREATE', events, group, 0)
  return 0
end
return redis.call('XTRIM', events, 'MINID', least)
