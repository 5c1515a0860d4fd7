-- Forgets workers that have been silent and pauses of keys that are over, and deletes consumers that hold nothing:
-- of workers on the lanes, and of readers on the events stream.
-- A consumer with a pending entry is never deleted: that would lose the entry's mirror.
--
-- KEYS stream stream_high stream_low stream_suspects events workers home
-- ARGV now_ms group silent_ms
-- EACH event_group
-- USES clock lanes
-- RETURNS how many consumers were deleted
local alive = {}
local entries = redis.call('HGETALL', workers)
for place = 1, #entries, 2 do
  local incarnation, seen = entries[place + 1]:match('^(%S+) (%d+)')
  if seen and now - tonumber(seen) <= tonumber(silent_ms) then
    alive[incarnation] = true
  else
    redis.call('HDEL', workers, entries[place])
  end
end

local deleted = 0

local function clear(stream_key, of_group)
  local consumers = redis.pcall('XINFO', 'CONSUMERS', stream_key, of_group)
  if consumers.err then return end
  for _, info in ipairs(consumers) do
    local facts = {}
    for place = 1, #info, 2 do facts[info[place]] = info[place + 1] end
    if facts.pending == 0 and not alive[facts.name] and facts.idle > tonumber(silent_ms) then
      redis.call('XGROUP', 'DELCONSUMER', stream_key, of_group, facts.name)
      deleted = deleted + 1
    end
  end
end

redis.call('ZREMRANGEBYSCORE', home .. 'pauses', '-inf', now)
for _, lane in pairs(lanes) do clear(lane, group) end
for at = FIRST, #ARGV do clear(events, ARGV[at]) end
return deleted
