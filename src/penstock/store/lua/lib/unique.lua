-- A unique key is held by one live job, and for its window by the last one even after its end.
-- The holder is looked at each time, so one that is gone or has ended holds nothing.
--
-- KEYS home job
-- USES clock

-- The value says when a window ends. Its key stays a little longer, so that a clock that is behind the server's
-- does not find it gone.
local SPARE_MS = 60000

local function unique_holder(key)
  local held = redis.call('GET', home .. 'unique:' .. key)
  if not held then return nil end
  local id, ends = held:match('^(%S+) (%d+)$')
  if not id then return nil end
  if tonumber(ends) > now then return id end
  local status = redis.pcall('HGET', job .. id, 'status')
  if type(status) ~= 'string' or status == 'completed' or status == 'failed' or status == 'cancelled' then
    return nil
  end
  return id
end

local function hold_unique(key, id, window)
  redis.call('SET', home .. 'unique:' .. key, string.format('%s %.0f', id, now + window))
end

local function free_unique(key, id)
  local held = redis.call('GET', home .. 'unique:' .. key)
  local holder, ends = (held or ''):match('^(%S+) (%d+)$')
  if holder ~= id then return end
  local left = tonumber(ends) - now
  if left > 0 then
    redis.call('PEXPIRE', home .. 'unique:' .. key, string.format('%.0f', left + SPARE_MS))
  else
    redis.call('DEL', home .. 'unique:' .. key)
  end
end
