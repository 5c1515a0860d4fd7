-- Reads schedules: the due ones, all (`*`), or one by its name. Changes nothing.
--
-- KEYS cron cron_due
-- ARGV now_ms which most
-- USES clock
-- RETURNS {now_ms, next_ms, name, body, slot, last, paused, …}: the script's time; the time until the next slot of
--         all (-1: none); then five values a schedule, empty where there is none
local reply = { now, -1 }

local function text(value)
  return value or ''
end

local function show(name)
  local kept = redis.call('HMGET', cron, name, name .. '#last', name .. '#paused')
  if not kept[1] then return end
  local slot = redis.call('ZSCORE', cron_due, name)
  for _, value in ipairs({ name, kept[1], text(slot), text(kept[2]), text(kept[3]) }) do reply[#reply + 1] = value end
end

local function all_names()
  local names = {}
  for _, name in ipairs(redis.call('HKEYS', cron)) do
    if not name:find('#', 1, true) then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local first = redis.call('ZRANGE', cron_due, 0, 0, 'WITHSCORES')[2]
if first then reply[2] = math.max(tonumber(first) - now, 0) end
if which == 'due' then
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', cron_due, '-inf', now, 'LIMIT', 0, most)) do show(name) end
elseif which == '*' then
  for _, name in ipairs(all_names()) do show(name) end
else
  show(which:sub(2))
end
return reply
