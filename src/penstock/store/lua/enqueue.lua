-- Accepts jobs: none → pending, or none → scheduled when a delay is given.
-- A job id that is already kept is left as it is, so a repeated call makes no double.
--
-- KEYS stream stream_high stream_low stream_suspects scheduled counts events bell job payload
-- ARGV now_ms max_events
-- EACH id spec lane delay_ms record max_attempts apart
-- USES clock tally bell lanes
-- RETURNS one code a job: 'ok', 'kept' (the id was there before), 'backlog' (the events stream is full)
local codes = {}
local ready = 0
local head = nil
local backlog = nil

local function events_are_full()
  if backlog == nil then backlog = redis.call('XLEN', events) >= tonumber(max_events) end
  return backlog
end

local function accept(at)
  local id, spec, lane, delay_ms = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local recorded, max_attempts, apart = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6]
  local key = job .. id
  if redis.call('EXISTS', key) == 1 then return 'kept' end
  if recorded == '1' and events_are_full() then return 'backlog' end
  local fields = { 'spec', spec }
  if lane ~= 'normal' then fields[#fields + 1] = 'lane'; fields[#fields + 1] = lane end
  if recorded == '1' then fields[#fields + 1] = 'record'; fields[#fields + 1] = '1' end
  if max_attempts ~= '3' then fields[#fields + 1] = 'max_attempts'; fields[#fields + 1] = max_attempts end
  if apart ~= '' then
    redis.call('SET', payload .. id, apart)
    fields[#fields + 1] = 'apart'; fields[#fields + 1] = '1'
  end
  if delay_ms > 0 then
    head = head or redis.call('ZRANGE', scheduled, 0, 0)[1] or ''
    redis.call('ZADD', scheduled, now + delay_ms, id)
    redis.call('HSET', key, 'status', 'scheduled', unpack(fields))
    move(nil, 'scheduled')
  else
    local message_id = redis.call('XADD', lanes[lane], '*', 'id', id)
    redis.call('HSET', key, 'status', 'pending', 'message_id', message_id, unpack(fields))
    move(nil, 'pending')
    ready = ready + 1
  end
  if recorded == '1' then
    redis.call('XADD', events, '*', 'event', 'enqueued', 'job', id, 'at', now, 'attempt', 0, 'spec', spec)
  end
  return 'ok'
end

for at = FIRST, #ARGV, STRIDE do codes[#codes + 1] = accept(at) end
write_tally()
-- A delayed job that became the first due also wakes a worker, which then knows when to look again.
if head and head ~= redis.call('ZRANGE', scheduled, 0, 0)[1] then ready = ready + 1 end
if ready > 0 then ring(ready) end
return codes
