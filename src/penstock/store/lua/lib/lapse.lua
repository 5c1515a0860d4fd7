-- A dead worker's job: the crash is charged, and the job goes on, waits among the suspects, or ends.
-- Answers 'take' when the caller may run it now.
--
-- USES clock state tally bell leave endings lanes pulse
local LEAST_CRASH_LIMIT = 3
local spared_until = 0
local seated = 0

local function declare_amnesty(beat, length)
  spared_until = amnesty_until(beat, length)
end

local function end_of_amnesty()
  return math.max(spared_until, now)
end

-- Whoever seated them had no place for them; an idle worker that has is not to find them by chance.
local function ring_for_seated()
  if seated > 0 then ring(seated) end
end

-- During an amnesty a lapsed lease may belong to a worker that lives. Not so one that was let go (its end
-- lies in the far past), nor one that is never renewed, whose holder no beat could have saved.
local function is_spared(state, lapsed_at)
  return spared_until > now and lapsed_at > LET_GO and not state.unrenewed
end

local function charge_crash(id, state)
  state.crashes = state.crashes + 1
  if state.cancel then
    cancel(id, state)
    return 'ended'
  end
  local limit = math.max(LEAST_CRASH_LIMIT, state.max_attempts)
  if state.crashes >= limit then
    redis.call('HSET', job .. id, 'crashes', state.crashes)
    fail(id, state, 'WorkerDied: the worker process died ' .. state.crashes ..
      ' times while it ran this job; the limit is ' .. limit, '')
    return 'ended'
  end
  redis.call('HSET', job .. id, 'crashes', state.crashes)
  record('crashed', id, state)
  return 'take'
end

-- Suspects wait on a lane of their own, so that none blocks the jobs behind it.
local function seat_among_suspects(id, state)
  if state.message_id then leave_message(state.lane, state.message_id) end
  unlease(id)
  local message_id = redis.call('XADD', stream_suspects, '*', 'id', id)
  redis.call('HSET', job .. id, 'status', 'pending', 'message_id', message_id, 'lane', 'suspects', 'lease', '')
  move(state.status, 'pending')
  seated = seated + 1
end
