-- Puts dead letters back: failed → pending, or waiting for their key's turn. They keep their id and their finished
-- steps; attempts and crashes are forgiven. A new `spec` comes with an edited payload, kept apart if `apart` has it.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell credits home
--      job payload result steps
-- ARGV now_ms group keep_ms
-- EACH id lane spec apart
-- USES clock tally bell state lanes flow unique record leave finish ready
-- RETURNS one code a job: 'ok', 'gone', 'damaged' (nothing of it can be run), 'unique <holder>' (another job holds
--         its unique key), else the status of a job that has not failed
local codes = {}
local FORGIVEN = { 'error', 'completed_at', 'letter', 'event_id', 'cancel', 'unrenewed', 'message_id', 'awaits',
  'reason' }

local function unique_problem(id, traits)
  if not has(traits, 'u') then return nil end
  local key = flow_of(id).unique
  local holder = unique_holder(key)
  if holder and holder ~= id then return 'unique ' .. holder end
  -- What is left of its own window stays.
  local ends = holder and tonumber(redis.call('GET', home .. 'unique:' .. key):match(' (%d+)$')) or now
  hold_unique(key, id, math.max(ends - now, 0))
  return nil
end

-- An expiry is about the first start; whoever puts a job back wants it to run.
local function traits_after(traits, spec, apart)
  traits = (traits or ''):gsub('[qx]', '') .. 'q'
  if spec == '' then return traits end
  return traits:gsub('a', '') .. (apart ~= '' and 'a' or '')
end

-- Keys of a job that was settled without a worker go by themselves; this one is to stay.
local function keep_keys(id, spec, apart)
  for _, key in ipairs({ job .. id, payload .. id, steps .. id }) do redis.call('PERSIST', key) end
  for _, kind in ipairs(FLOW_KEYS) do redis.call('PERSIST', home .. kind .. id) end
  if spec ~= '' then redis.call('DEL', payload .. id) end
  if apart ~= '' then redis.call('SET', payload .. id, apart) end
end

-- Whoever follows it anew is to read on past the end it once had.
local function reopen_feed(id)
  local last = redis.call('XREVRANGE', home .. 'live:' .. id, '+', '-', 'COUNT', 1)[1]
  if not last then return end
  for place = 1, #last[2], 2 do
    if last[2][place] == 'kind' and last[2][place + 1] == 'end' then redis.call('XDEL', home .. 'live:' .. id, last[1]) end
  end
end

local function requeue(id, lane, spec, apart)
  local state, problem = read(id)
  if problem == 'gone' then return problem end
  if problem or (state.status == 'failed' and not state.spec) then return 'damaged' end
  if state.status ~= 'failed' then return state.status end
  problem = unique_problem(id, state.traits)
  if problem then return problem end
  local letter = redis.call('HGET', job .. id, 'letter')
  if letter then redis.call('XDEL', dlq, letter) end
  redis.call('ZREM', index .. 'failed', id)
  redis.call('HDEL', job .. id, unpack(FORGIVEN))
  keep_keys(id, spec, apart)
  if has(state.traits, 'l') then reopen_feed(id) end
  state.traits = traits_after(state.traits, spec, apart)
  -- The lease counter is attempt + releases: it has to grow with each claim, whatever is forgiven.
  redis.call('HSET', job .. id, 'attempt', 0, 'crashes', 0, 'releases', (state.releases or 0) + (state.attempt or 0),
    'idle_releases', 0, 'lane', lane, 'traits', state.traits, 'spec', spec ~= '' and spec or state.spec)
  redis.call('HINCRBY', job .. id, 'requeues', 1)
  state.attempt, state.crashes, state.lane = 0, 0, lane
  if spec ~= '' then
    record('requeued', id, state, 'spec', spec)
  else
    record('requeued', id, state)
  end
  make_ready(id, state)
  return 'ok'
end

for at = FIRST, #ARGV, STRIDE do
  codes[#codes + 1] = requeue(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
end
write_tally()
write_departures()
return codes
