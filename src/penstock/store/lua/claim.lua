-- Gives jobs to a worker: lapsed leases first, then waiting suspects, then the lanes by their credits; within a
-- lane, jobs without a key share evenly with keys that take turns. A paused queue gives none.
-- pending, waiting → processing, cancelled (too late to start); processing → processing (a dead worker's job),
-- → pending (a suspect without a seat), → failed (too many crashes), → cancelled (its cancellation was asked for
-- before its worker died).
-- Calling again with the same request id returns the same batch: a lost reply strands nothing.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts events credits bell home job claim
-- ARGV now_ms group consumer request_id count lease_ms unrenewed suspect_seats beat_ms amnesty_ms
--      keep_ms
-- USES clock tally bell state batch lanes departures record
-- LATE leave finish endings quarantine lapse pulse kin admit
-- RETURNS {wake_ms, scheduled_ms, id, lease, spec, attempt, crashes, steps, …}: the times until the next lapse
--         and the next due job, -1 for none and when the batch is full; then six entries a job
local CLAIM_KEPT_MS = 60000
local TOLD_A_CLAIM = 64

redis.call('DEL', claim .. '-')
local wanted = tonumber(count)
local seats = tonumber(suspect_seats)
local started = now .. ' ' .. consumer
batch_size = wanted
local taken = batch_table()
local leased = batch_table()
local reply = batch_table()
reply[1], reply[2] = -1, -1

local function hand_over(id, state)
  local size = #reply
  reply[size + 1], reply[size + 2], reply[size + 3] = id, state.lease, state.spec
  reply[size + 4], reply[size + 5], reply[size + 6] = state.attempt, state.crashes, state.steps
end

local function repeat_earlier_claim()
  local earlier = redis.call('GET', claim .. consumer)
  if not earlier then return false end
  local request, ids = earlier:match('^(%S+) (.*)$')
  if request ~= request_id then return false end
  for id in ids:gmatch('%S+') do
    local state = read(id)
    if state and state.status == 'processing' and state.lease and state.lease:match(':(.*)$') == request_id then
      -- The lease has run while the first answer was on its way to nobody.
      leased[#leased + 1] = now + tonumber(lease_ms)
      leased[#leased + 1] = id
      hand_over(id, state)
    end
  end
  if #leased > 0 then redis.call('ZADD', leases, unpack(leased)) end
  return true
end

local function take(id, state)
  state.attempt = state.attempt + 1
  state.lease = (state.attempt + state.releases) .. ':' .. request_id
  redis.call('HSET', job .. id, 'status', 'processing', 'lease', state.lease, 'attempt', state.attempt,
    'started', started)
  if unrenewed == '1' then
    redis.call('HSET', job .. id, 'unrenewed', '1')
  elseif state.unrenewed then
    redis.call('HDEL', job .. id, 'unrenewed')
  end
  move(state.status, 'processing')
  leased[#leased + 1] = now + tonumber(lease_ms)
  leased[#leased + 1] = id
  taken[#taken + 1] = id
  if state.crashes >= SUSPECT_CRASHES then seats = seats - 1 end
  if state.recorded then record('started', id, state, 'worker', consumer) end
  hand_over(id, state)
end

local function take_over(lapsed)
  local function take_lapsed(id, lapsed_at)
    local state, problem = read(id)
    if problem == 'gone' then redis.call('ZREM', leases, id) return end
    if problem then late().quarantine(id, lapsed_at == RELEASED and 'pending' or 'processing') return end
    if state.status == 'processing' then
      if late().is_spared(state, lapsed_at) or late().charge_crash(id, state) == 'ended' then return end
    elseif state.status ~= 'pending' then
      redis.call('ZREM', leases, id)
      return
    end
    redis.pcall('XCLAIM', lanes[state.lane] or stream, group, consumer, 0, state.message_id or '0-0', 'JUSTID')
    if state.crashes >= SUSPECT_CRASHES and seats <= 0 then
      late().seat_among_suspects(id, state)
    else
      take(id, state)
    end
  end

  late().declare_amnesty(beat_ms, amnesty_ms)
  for place = 1, #lapsed, 2 do take_lapsed(lapsed[place], tonumber(lapsed[place + 1])) end
end

local function take_message(lane, message_id, id)
  local state, problem = read_new(id, lane)
  if problem == 'corrupt' then
    late().quarantine(id, 'pending')
  elseif state and state.status == 'pending' and state.message_id == message_id then
    -- Met here only when the group was made anew: suspects have a lane of their own.
    if state.crashes >= SUSPECT_CRASHES and seats <= 0 then return late().seat_among_suspects(id, state) end
    if not state.is_unbound and late().is_late(id, state) then return late().cancel(id, state, late().EXPIRED) end
    return take(id, state)
  elseif state and state.status == 'processing' and state.message_id == message_id then
    return nil
  end
  -- Whatever else stands in the stream is a leftover: its job is gone or waits under another message.
  leave_message(lane, message_id)
end

local function read_stream(lane, most)
  local home_lane = lanes[lane]
  local answer = redis.pcall('XREADGROUP', 'GROUP', group, consumer, 'COUNT', most, 'STREAMS', home_lane, '>')
  if answer and answer.err then
    if redis.call('EXISTS', home_lane) == 0 and lane ~= 'normal' then return 0 end
    redis.call('XGROUP', 'CREATE', home_lane, group, 0, 'MKSTREAM')
    answer = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', most, 'STREAMS', home_lane, '>')
  end
  if not answer then return 0 end
  local entries = answer[1][2]
  for _, entry in ipairs(entries) do
    if entry[2] then take_message(lane, entry[1], entry[2][2]) end
  end
  return #entries
end

local function drain(lane)
  while #taken < wanted do
    local most = wanted - #taken
    if read_stream(lane, most) < most then return end
  end
end

-- More than jobs of the normal lane without a key: keyed jobs, suspects, other lanes, endings to tell.
local function drain_all()
  local WEIGHTS = { { 'high', 6 }, { 'normal', 3 }, { 'low', 1 } }
  local ROUND = 10
  -- Of a lane's share, half goes to jobs without a key and half to keys in turn; what one leaves the other gets.
  -- Slots that free up one by one go to the two sides by turns.
  local function read_lane(lane, most)
    if redis.call('EXISTS', home .. 'turns:' .. lane) == 0 then return read_stream(lane, most) end
    local half = most / 2
    local is_keyed_first = redis.call('HINCRBY', credits, 'side', 1) % 2 == 0
    local for_keys = is_keyed_first and math.ceil(half) or math.floor(half)
    local admitted = late().admit(lane, for_keys)
    -- A COUNT of 0 would mean all there are.
    local streamed = admitted < most and read_stream(lane, most - admitted) or 0
    if admitted == for_keys and admitted + streamed < most then
      admitted = admitted + late().admit(lane, most - admitted - streamed)
    end
    if admitted > 0 then read_stream('keyed', admitted) end
    return admitted + streamed
  end

  -- Credits outlive the call, so slots that free up one by one share as fairly as a whole batch.
  local function drain_by_credits()
    local kept = redis.call('HMGET', credits, 'high', 'normal', 'low')
    local left, dry = {}, {}
    for place, weight in ipairs(WEIGHTS) do left[weight[1]] = tonumber(kept[place]) or 0 end
    repeat
      local spent = true
      for _, weight in ipairs(WEIGHTS) do
        local lane = weight[1]
        local most = math.min(left[lane], wanted - #taken)
        if not dry[lane] and most > 0 then
          local before = #taken
          if read_lane(lane, most) < most then dry[lane] = true end
          left[lane] = left[lane] - (#taken - before)
        end
        if not dry[lane] and left[lane] > 0 then spent = false end
      end
      local all_dry = dry.high and dry.normal and dry.low
      if spent and not all_dry then
        local rounds = math.max(1, math.floor((wanted - #taken) / ROUND))
        for _, weight in ipairs(WEIGHTS) do left[weight[1]] = weight[2] * rounds end
      end
    until all_dry or #taken >= wanted
    redis.call('HSET', credits, 'high', left.high, 'normal', left.normal, 'low', left.low)
  end

  late().resolve(TOLD_A_CLAIM)
  -- One at a time: leftovers may stand before the one that takes the seat.
  while seats > 0 and #taken < wanted and read_stream('suspects', 1) == 1 do end
  -- Those that stand there already hold their key's place.
  if #taken < wanted and redis.call('EXISTS', home .. 'stream:keyed') == 1 then drain('keyed') end
  drain_by_credits()
end

if repeat_earlier_claim() then return reply end

local timers = home .. 'timers'
local is_plain = redis.call('EXISTS', stream_high, stream_low, stream_suspects, home .. 'stream:keyed',
  home .. 'turns:high', home .. 'turns:normal', home .. 'turns:low', home .. 'fanout', timers, home .. 'paused') == 0
if not is_plain and redis.call('EXISTS', home .. 'paused') == 1 then return reply end

local lapsed = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'WITHSCORES', 'LIMIT', 0, wanted)
if #lapsed > 0 then take_over(lapsed) end
if is_plain then
  drain('normal')
else
  drain_all()
end

if was_late then
  late().write_departures()
  late().write_finished()
else
  write_messages()
end
write_tally()
if #taken > 0 then
  redis.call('ZADD', leases, unpack(leased))
  redis.call('SET', claim .. consumer, request_id .. ' ' .. table.concat(taken, ' '), 'PX', CLAIM_KEPT_MS)
end
if #taken >= wanted then
  if redis.call('EXISTS', bell) == 0 then ring(1) end
  return reply
end
redis.call('DEL', bell)
if was_late then late().ring_for_seated() end
local lapse = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
if lapse then reply[1] = math.max(tonumber(lapse), was_late and late().end_of_amnesty() or now, now) - now end
local due = tonumber(redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2])
if not is_plain then
  local timer = tonumber(redis.call('ZRANGE', timers, 0, 0, 'WITHSCORES')[2])
  if timer and (not due or timer < due) then due = timer end
end
-- A parent that ended in this very claim tells its children at the next look at the clock.
if (was_late or not is_plain) and redis.call('EXISTS', home .. 'fanout') == 1 then due = now end
if not is_plain and redis.call('EXISTS', home .. 'turns:high', home .. 'turns:normal', home .. 'turns:low') > 0 then
  -- More keys than one claim looks at: each look ends a turn, so asking again comes to an end.
  reply[1] = 0
end
if due then reply[2] = math.max(due - now, 0) end
return reply
