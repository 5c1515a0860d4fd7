-- How many jobs, and how many units that jobs book and report, a key may start within a moving window.
-- Bookings are kept by time, so that no window of that length ever holds more than the limit.
--
-- KEYS home job
-- USES clock
local function limits_of(key)
  local raw = redis.call('HGET', home .. 'limits', key)
  local places, jobs, units, window = (raw or ''):match('^(%d+) (%d+) (%d+) (%d+)$')
  return tonumber(places or 0), tonumber(jobs or 0), tonumber(units or 0), tonumber(window or 0)
end

local function drop_old_starts(key, window)
  local starts = home .. 'starts:' .. key
  while true do
    local at = tonumber(redis.call('LINDEX', starts, 0))
    if not at or at + window > now then return end
    redis.call('LPOP', starts)
  end
end

local function drop_old_units(key, window)
  local booked = home .. 'booked:' .. key
  while true do
    local entry = redis.call('LINDEX', booked, 0)
    if not entry then return end
    local at, units = entry:match('^(%d+) (%d+)')
    if tonumber(at) + window > now then return end
    redis.call('LPOP', booked)
    redis.call('DECRBY', home .. 'spent:' .. key, units)
  end
end

-- When enough of what is booked will have passed for `units` more; a job above the limit goes alone.
local function units_free_at(key, units, most, window)
  local spent = tonumber(redis.call('GET', home .. 'spent:' .. key) or 0)
  local missing = math.min(spent + units - most, spent)
  if missing <= 0 then return 0 end
  local place, at = 0, 0
  while missing > 0 do
    local entry = redis.call('LINDEX', home .. 'booked:' .. key, place)
    if not entry then break end
    local booked_at, booked = entry:match('^(%d+) (%d+)')
    missing, at, place = missing - tonumber(booked), tonumber(booked_at), place + 1
  end
  return at + window
end

-- When the key may start a job that books `units`: 0 is now.
local function opening(key, units)
  local paused = redis.call('ZSCORE', home .. 'pauses', key)
  if paused then
    if tonumber(paused) > now then return tonumber(paused) end
    redis.call('ZREM', home .. 'pauses', key)
  end
  local _, jobs, most, window = limits_of(key)
  local at = 0
  if jobs > 0 then
    drop_old_starts(key, window)
    local started = redis.call('LLEN', home .. 'starts:' .. key)
    if started >= jobs then at = redis.call('LINDEX', home .. 'starts:' .. key, started - jobs) + window end
  end
  if most > 0 then
    drop_old_units(key, window)
    at = math.max(at, units_free_at(key, units, most, window))
  end
  return at
end

local function note_units(key, id, units, window)
  redis.call('RPUSH', home .. 'booked:' .. key, string.format('%.0f %.0f ', now, units) .. id)
  redis.call('INCRBY', home .. 'spent:' .. key, string.format('%.0f', units))
  redis.call('PEXPIRE', home .. 'booked:' .. key, 2 * window)
  redis.call('PEXPIRE', home .. 'spent:' .. key, 2 * window)
end

local function book(key, id, units)
  local _, jobs, most, window = limits_of(key)
  if jobs > 0 then
    redis.call('RPUSH', home .. 'starts:' .. key, now)
    redis.call('PEXPIRE', home .. 'starts:' .. key, 2 * window)
  end
  if most > 0 and units > 0 then
    note_units(key, id, units, window)
    redis.call('HSET', job .. id, 'booked_at', now, 'booked', units, 'used', 0)
  end
end

-- Units that a running job says it used: what it had booked goes first, the rest is booked now.
local function use_units(key, id, units)
  local _, _, most, window = limits_of(key)
  if most == 0 then return end
  local used = redis.call('HINCRBY', job .. id, 'used', units)
  local booked = tonumber(redis.call('HGET', job .. id, 'booked') or 0)
  if used <= booked then return end
  note_units(key, id, used - booked, window)
  redis.call('HSET', job .. id, 'booked', used)
end

-- A job that used less than it had booked at its start gives the rest back; answers whether there was any.
local function return_units(key, id)
  local raw = redis.call('HMGET', job .. id, 'booked_at', 'booked', 'used')
  local booked, used = tonumber(raw[2] or 0), tonumber(raw[3] or 0)
  if not raw[1] or used == 0 or used >= booked then return false end
  local booking, shorter = string.format('%s %.0f ', raw[1], booked) .. id, string.format('%s %.0f ', raw[1], used) .. id
  local place = redis.call('LPOS', home .. 'booked:' .. key, booking)
  if not place then return false end
  redis.call('LSET', home .. 'booked:' .. key, place, shorter)
  redis.call('DECRBY', home .. 'spent:' .. key, booked - used)
  return true
end
