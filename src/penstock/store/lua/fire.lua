-- Makes the jobs of a schedule's due slots and moves it on to its next one, in one step: none → pending.
-- Whoever comes second finds another next slot, or another schedule, and changes nothing.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell credits home
--      job payload result steps cron cron_due
-- ARGV now_ms group keep_ms max_events name digest seen last coming
-- EACH id spec terms apart
-- USES accept
-- RETURNS {outcome, next_ms, code, …}: 'fired', 'taken' (the slot is no longer `seen`), 'changed' (nor is the
--         schedule) or 'backlog' (the events stream is full: the slot stays due); the time until the next slot
--         of all schedules (-1: none); one code a job as enqueue gives them
local codes = {}

local function fire()
  local body = redis.call('HGET', cron, name)
  if not body or redis.sha1hex(body) ~= digest then return 'changed' end
  if tonumber(redis.call('ZSCORE', cron_due, name) or -1) ~= tonumber(seen) then return 'taken' end
  if tonumber(coming) <= tonumber(last) then return 'taken' end
  for at = FIRST, #ARGV, STRIDE do
    local code = accept(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
    if code == 'backlog' then return code end
    codes[#codes + 1] = code
  end
  redis.call('HSET', cron, name .. '#last', last)
  redis.call('ZADD', cron_due, coming, name)
  return 'fired'
end

local outcome = fire()
write_accepted()
local first = redis.call('ZRANGE', cron_due, 0, 0, 'WITHSCORES')[2]
return { outcome, first and math.max(tonumber(first) - now, 0) or -1, unpack(codes) }
