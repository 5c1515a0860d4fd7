-- Moves due jobs to where workers find them: scheduled, retrying, suspended → pending, or waiting for their
-- key's turn; → cancelled when they are too late to start. Gives keys that may go on their turn, and tells
-- children of parents that have ended. Damaged jobs are set aside.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell credits home
--      job payload result steps
-- ARGV now_ms group keep_ms most
-- USES clock tally bell state lanes leave record endings quarantine ready line kin
-- RETURNS {promoted, next_ms, crossings}: jobs moved, the time until the next is due (-1: none), and how many
--         endings wait to be told on other queues
local LOOK_AGAIN_MS = 1000
local timers = home .. 'timers'
local promoted = 0

local function promote(id)
  local state, problem = read(id)
  if problem == 'corrupt' then return quarantine(id, 'scheduled') end
  redis.call('ZREM', scheduled, id)
  if problem or (state.status ~= 'scheduled' and state.status ~= 'retrying') then return end
  if is_late(id, state) then return cancel(id, state, EXPIRED) end
  make_ready(id, state)
  record('promoted', id, state)
  promoted = promoted + 1
end

local function wake(id)
  local state, problem = read(id)
  if problem == 'corrupt' then return quarantine(id, 'suspended') end
  if problem or state.status ~= 'suspended' then return end
  leave(id, state)
  make_ready(id, state)
  record('promoted', id, state)
  promoted = promoted + 1
end

local function give_up_on(id)
  local state, problem = read(id)
  if problem or state.ended or has_started(state) then return end
  cancel(id, state, EXPIRED)
end

local rung = {
  job = wake,
  late = give_up_on,
  rate = function(place)
    local lane, rate = place:match('^(%S+) (.*)$')
    open_rate(lane, rate, now + LOOK_AGAIN_MS)
  end,
}

for _, id in ipairs(redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, most)) do promote(id) end
for _, timer in ipairs(redis.call('ZRANGEBYSCORE', timers, '-inf', now, 'LIMIT', 0, most)) do
  redis.call('ZREM', timers, timer)
  local kind, about = timer:match('^(%S+) (.*)$')
  rung[kind](about)
end
resolve(tonumber(most))
write_departures()
write_tally()
write_finished()

local function next_due()
  if redis.call('EXISTS', home .. 'fanout') == 1 then return 0 end
  local due = nil
  for _, waiting in ipairs({ scheduled, timers }) do
    local at = tonumber(redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2])
    if at and (not due or at < due) then due = at end
  end
  return due and math.max(due - now, 0) or -1
end
return { promoted, next_due(), redis.call('XLEN', home .. 'crossings') }
