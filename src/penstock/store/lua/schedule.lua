-- Keeps schedules: put, pause, resume and remove. `coming` is the first slot to come, by the caller's reckoning.
-- A schedule put again unchanged keeps its next slot, and how it stands; a changed one gets a new next slot.
--
-- KEYS cron cron_due home
-- ARGV now_ms
-- EACH action name body coming begins_paused
-- USES clock
-- RETURNS one code a schedule: 'ok', 'kept' (put unchanged), 'again' (a later slot was dealt with meanwhile: reckon
--         anew), 'gone' (there is no such schedule)
local codes = {}

local function is_behind(name, slot)
  return tonumber(slot) <= tonumber(redis.call('HGET', cron, name .. '#last') or 0)
end

local function expect(name, slot)
  if is_behind(name, slot) then return 'again' end
  redis.call('ZADD', cron_due, slot, name)
  return 'ok'
end

local function is_paused(name)
  return redis.call('HEXISTS', cron, name .. '#paused') == 1
end

local function pause(name)
  redis.call('HSET', cron, name .. '#paused', now)
  redis.call('ZREM', cron_due, name)
  return 'ok'
end

local function put(name, body, slot, paused)
  local known = redis.call('HGET', cron, name)
  if not known and paused == '1' then pause(name) end
  if known == body and (is_paused(name) or redis.call('ZSCORE', cron_due, name)) then return 'kept' end
  local code = is_paused(name) and 'ok' or expect(name, slot)
  if code == 'ok' then redis.call('HSET', cron, name, body) end
  return code
end

local function resume(name, _, slot)
  if not is_paused(name) then return 'ok' end
  local code = expect(name, slot)
  if code == 'ok' then redis.call('HDEL', cron, name .. '#paused') end
  return code
end

local function remove(name)
  redis.call('HDEL', cron, name, name .. '#last', name .. '#paused')
  redis.call('ZREM', cron_due, name)
  return 'ok'
end

local actions = { put = put, pause = pause, resume = resume, remove = remove }

local function act(at)
  local action, name = ARGV[at], ARGV[at + 1]
  if action ~= 'put' and redis.call('HEXISTS', cron, name) == 0 then return 'gone' end
  return actions[action](name, ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
end

for at = FIRST, #ARGV, STRIDE do codes[#codes + 1] = act(at) end
-- Those who wait for the next slot look anew.
redis.call('PUBLISH', home .. 'calls', 'schedule')
return codes
