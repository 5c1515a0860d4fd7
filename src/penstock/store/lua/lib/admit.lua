-- Admits jobs from the lines of keys to the keyed lane: one a turn, within each key's places and rate.
-- waiting → pending; the claim that admits them reads them at once.
--
-- KEYS home job
-- USES clock tally state lanes flow line rates parked quarantine endings lapse
local MOST_LOOKS = 128

local function has_place(key, options)
  local places = limits_of(key)
  if places == 0 then places = options.limit or 0 end
  return places == 0 or not is_full(key, places)
end

-- Whether the rate lets the key start one more. In a lane none overtakes a key that sleeps and whose turn is sooner,
-- or one that needs many units would never find them free.
local function is_open(lane, key, turn, options, first)
  local rate = options.rate
  local is_behind = first[1] and first[1] ~= key and tonumber(first[2]) < turn
  if not is_behind then
    local at = opening(rate, options.units or 0)
    if at <= now then return true end
    redis.call('ZADD', home .. 'timers', at, 'rate ' .. lane .. ' ' .. rate)
  end
  fall_asleep(lane, rate, key, turn)
  return false
end

-- Whether the key may start one more: else its turn ends until a place is freed or its rate opens.
local function may_start(lane, key, turn, options)
  local is_placed = has_place(key, options)
  if not options.rate then return is_placed end
  local first = redis.call('ZRANGE', home .. 'asleep:' .. lane .. ':' .. options.rate, 0, 0, 'WITHSCORES')
  if is_placed and not is_open(lane, key, turn, options, first) then return false end
  if first[1] then
    wake_up(lane, options.rate, key)
    wake_first(lane, options.rate)
  end
  return is_placed
end

local function seat(id, state, key, options)
  redis.call('SADD', home .. 'holders:' .. key, id)
  if options.rate then book(options.rate, id, options.units or 0) end
  redis.call('ZREM', index .. 'waiting', id)
  local lane = state.crashes >= SUSPECT_CRASHES and 'suspects' or 'keyed'
  local message_id = redis.call('XADD', lanes[lane], '*', 'id', id)
  redis.call('HSET', job .. id, 'status', 'pending', 'message_id', message_id, 'lane', lane)
  move('waiting', 'pending')
  if lane == 'keyed' then return true end
  seated = seated + 1
  return false
end

-- One turn: 'taken', 'blocked' (the key may not start one) or 'passed' (nothing stood there, or it was too late).
local function one_turn(lane, key, turn)
  local line = home .. 'line:' .. lane .. ':' .. key
  local id = redis.call('ZRANGE', line, 0, 0)[1]
  if not id then return 'blocked' end
  local state, problem = read(id)
  if problem == 'corrupt' then quarantine(id, 'waiting') end
  local options = not problem and flow_of(id)
  -- Another job may have come under the id of one that was lost from this line.
  local stands_here = options and state.status == 'waiting' and options.lane == lane and key_of(options) == key
  if not stands_here then
    redis.call('ZREM', line, id)
    return 'passed'
  end
  if is_late(id, state) then
    cancel(id, state, EXPIRED)
    return 'passed'
  end
  if not may_start(lane, key, turn, options) then return 'blocked' end
  redis.call('ZREM', line, id)
  return seat(id, state, key, options) and 'taken' or 'passed'
end

local function admit(lane, most)
  local turns = home .. 'turns:' .. lane
  local admitted, looks = 0, 0
  while admitted < most and looks < MOST_LOOKS do
    local first = redis.call('ZRANGE', turns, 0, 0, 'WITHSCORES')
    local key = first[1]
    if not key then break end
    looks = looks + 1
    local outcome = one_turn(lane, key, tonumber(first[2]))
    if outcome == 'blocked' then
      redis.call('ZREM', turns, key)
    else
      redis.call('ZADD', turns, redis.call('HINCRBY', credits, 'turn', 1), key)
      if outcome == 'taken' then admitted = admitted + 1 end
    end
  end
  return admitted
end
