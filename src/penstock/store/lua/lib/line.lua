-- Jobs with a key stand in their key's line, first in, first out; keys with a line take turns, one job each.
-- A key that may not go on has no turn until it may: one whose places are taken gets a new turn when one is freed,
-- one whose rate is used up sleeps, and keeps its turn for when the rate opens.
--
-- KEYS home credits bell job
-- USES bell
local HOLDERS_LOOKED_AT = 16
local HOME_LANES = { 'high', 'normal', 'low' }

local function key_of(options)
  return options.key or options.rate or ''
end

local function give_turn(lane, key)
  redis.call('ZADD', home .. 'turns:' .. lane, 'NX', redis.call('HINCRBY', credits, 'turn', 1), key)
  wake_later()
end

local function fall_asleep(lane, rate, key, turn)
  redis.call('ZADD', home .. 'asleep:' .. lane .. ':' .. rate, 'LT', turn, key)
end

local function wake_up(lane, rate, key)
  local asleep = home .. 'asleep:' .. lane .. ':' .. rate
  redis.call('ZREM', asleep, key)
  if redis.call('EXISTS', asleep) == 0 then redis.call('ZREM', home .. 'timers', 'rate ' .. lane .. ' ' .. rate) end
end

-- Of the keys that sleep for a rate, the one whose turn is first looks again. It wakes the next when it may go on.
local function wake_first(lane, rate)
  local first = redis.call('ZRANGE', home .. 'asleep:' .. lane .. ':' .. rate, 0, 0, 'WITHSCORES')
  if not first[1] then return end
  wake_up(lane, rate, first[1])
  redis.call('ZADD', home .. 'turns:' .. lane, 'LT', first[2], first[1])
  wake_later()
end

-- The same for when a rate opens. Should nobody stand in the first one's line any more, the next looks soon.
local function open_rate(lane, rate, soon)
  wake_first(lane, rate)
  if redis.call('EXISTS', home .. 'asleep:' .. lane .. ':' .. rate) == 1 then
    redis.call('ZADD', home .. 'timers', soon, 'rate ' .. lane .. ' ' .. rate)
  end
end

local function stand_in_line(id, options)
  local key, place = key_of(options), redis.call('HINCRBY', credits, 'place', 1)
  redis.call('ZADD', home .. 'line:' .. options.lane .. ':' .. key, place, id)
  give_turn(options.lane, key)
end

local function leave_line(id, options)
  local lane, key = options.lane or 'normal', key_of(options)
  local line = home .. 'line:' .. lane .. ':' .. key
  redis.call('ZREM', line, id)
  if redis.call('EXISTS', line) == 1 then return end
  redis.call('ZREM', home .. 'turns:' .. lane, key)
  if options.rate then wake_up(lane, options.rate, key) end
end

-- The job no longer counts against its key's limit, so the next in line may have its turn.
local function free_place(id, options)
  local key = key_of(options)
  if redis.call('SREM', home .. 'holders:' .. key, id) == 0 then return end
  for _, lane in ipairs(HOME_LANES) do
    if redis.call('EXISTS', home .. 'line:' .. lane .. ':' .. key) == 1 then give_turn(lane, key) end
  end
end

-- A holder whose job is gone, or stands where it holds nothing, is evicted.
local function evict(key, holders)
  local evicted = 0
  for _, id in ipairs(holders) do
    local status = redis.pcall('HGET', job .. id, 'status')
    if status ~= 'processing' and status ~= 'pending' then
      evicted = evicted + redis.call('SREM', home .. 'holders:' .. key, id)
    end
  end
  return evicted
end

local function is_full(key, places)
  local holders = home .. 'holders:' .. key
  if redis.call('SCARD', holders) < places then return false end
  local evicted = evict(key, redis.call('SRANDMEMBER', holders, HOLDERS_LOOKED_AT))
  return evicted == 0 or redis.call('SCARD', holders) >= places
end
