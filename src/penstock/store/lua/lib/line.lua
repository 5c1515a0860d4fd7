-- Jobs with a key stand in their key's line, first in, first out; keys with a line take turns, one job each.
-- A key that may not go on (its limit is reached, its rate is used up) has no turn until it may.
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
  redis.call('ZREM', home .. 'timers', 'key ' .. lane .. ' ' .. key)
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
