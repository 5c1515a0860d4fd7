-- Forgets workers that have been silent, and deletes consumers that hold nothing.
-- A consumer with a pending entry is never deleted: that would lose the entry's mirror.
--
-- KEYS stream stream_high stream_low stream_suspects workers
-- ARGV now_ms group silent_ms
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
for _, home in pairs(lanes) do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', home, group)
  if not consumers.err then
    for _, info in ipairs(consumers) do
      local facts = {}
      for place = 1, #info, 2 do facts[info[place]] = info[place + 1] end
      if facts.pending == 0 and not alive[facts.name] and facts.idle > tonumber(silent_ms) then
        redis.call('XGROUP', 'DELCONSUMER', home, group, facts.name)
        deleted = deleted + 1
      end
    end
  end
end
return deleted
