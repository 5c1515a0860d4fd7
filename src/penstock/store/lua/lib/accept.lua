-- Accepts one job: none → pending, scheduled (a delay) or waiting (parents, or its key's turn).
-- A job id that is already kept is left as it is, so a repeated call makes no double.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell credits home
--      job payload result steps
-- ARGV now_ms group keep_ms max_events
-- USES clock tally bell state lanes flow line parked record leave unique letgo finish ready kin
local head = nil
local backlog = nil

local function events_are_full()
  if backlog == nil then backlog = redis.call('XLEN', events) >= tonumber(max_events) end
  return backlog
end

local function wait_for_time(id, due)
  head = head or redis.call('ZRANGE', scheduled, 0, 0)[1] or ''
  redis.call('ZADD', scheduled, due, id)
end

-- A delayed job that became the first due also wakes a worker, which then knows when to look again.
local function write_accepted()
  if head and head ~= redis.call('ZRANGE', scheduled, 0, 0)[1] then wake_later() end
end

-- Whatever holds the unique key: nil when it is free, else the answer to the caller.
local function meet_holder(options)
  local holder = unique_holder(options.unique)
  if not holder then return nil end
  if options.policy == 'reject' then return 'rejected ' .. holder end
  if options.policy ~= 'replace' then return 'unique ' .. holder end
  local state, problem = read(holder)
  if problem or state.ended then return nil end
  if state.status == 'processing' then
    redis.call('HSET', job .. holder, 'cancel', '1')
    redis.call('PUBLISH', home .. 'calls', 'cancel ' .. holder .. ' ' .. (state.lease or ''))
  else
    cancel(holder, state, 'Replaced: another job took its unique key')
    write_departures()
  end
  return nil
end

local function refusal(options)
  for _, parent in ipairs(options.parents or {}) do
    if not parent:find('/', 1, true) and redis.call('EXISTS', job .. parent) == 0 then return 'orphan ' .. parent end
  end
  for _, target in ipairs(options.joins or {}) do
    if redis.call('EXISTS', home .. 'parents:' .. target) == 0 then return 'unjoinable ' .. target end
  end
  return options.unique and meet_holder(options)
end

local function traits_of(options, apart, recorded)
  local traits = (recorded == '1' and 'r' or '') .. (apart ~= '' and 'a' or '')
  if options.key or options.rate then traits = traits .. 'k' end
  if options.unique then traits = traits .. 'u' end
  if options.expires then traits = traits .. 'x' end
  if options.parents then traits = traits .. 'p' end
  if options.joins then traits = traits .. 'c' end
  if options.keep_shift then traits = traits .. 't' end
  return traits
end

local function join(id, options)
  for _, target in ipairs(options.joins or {}) do
    redis.call('SADD', home .. 'parents:' .. target, id)
    redis.call('SADD', home .. 'children:' .. id, target)
  end
end

-- Stands by its parents: those that have ended already are heard at once.
local function stand_by_parents(id, options)
  local ended = {}
  for _, parent in ipairs(options.parents) do
    redis.call('SADD', home .. 'parents:' .. id, parent)
    -- One on another queue is linked there by the caller.
    if not parent:find('/', 1, true) and not bear(parent, id) then ended[#ended + 1] = parent end
  end
  park(id, 'waiting')
  for _, parent in ipairs(ended) do tell_child(id, parent, ending_of(parent)) end
end

local function write_hash(id, spec, lane, status, message_id, max_attempts, apart, traits, flow)
  local fields = { 'spec', spec, 'status', status }
  local size = 4
  if message_id then fields[5], fields[6] = 'message_id', message_id; size = 6 end
  if lane ~= 'normal' then fields[size + 1], fields[size + 2] = 'lane', lane; size = size + 2 end
  if traits ~= '' then fields[size + 1], fields[size + 2] = 'traits', traits; size = size + 2 end
  if flow ~= '' then fields[size + 1], fields[size + 2] = 'flow', flow; size = size + 2 end
  if max_attempts ~= '3' then fields[size + 1], fields[size + 2] = 'max_attempts', max_attempts end
  if apart ~= '' then redis.call('SET', payload .. id, apart) end
  redis.call('HSET', job .. id, unpack(fields))
end

-- A job with options that most do without.
local function place_with_options(id, lane, delay_ms, options)
  if options.unique then hold_unique(options.unique, id, options.window or 0) end
  if options.expires then redis.call('ZADD', home .. 'timers', options.expires, 'late ' .. id) end
  join(id, options)
  if options.parents then
    move(nil, 'waiting')
    return stand_by_parents(id, options)
  end
  if delay_ms > 0 then
    wait_for_time(id, now + delay_ms)
    redis.call('HSET', job .. id, 'status', 'scheduled')
    return move(nil, 'scheduled')
  end
  local state = read(id)
  state.status = nil
  make_ready(id, state)
end

local function accept_with_options(id, spec, lane, delay_ms, recorded, max_attempts, apart, flow)
  local options = cjson.decode(flow)
  local refused = refusal(options)
  if refused then return refused end
  options.lane = lane
  if delay_ms > 0 then options.due = now + delay_ms end
  local traits = traits_of(options, apart, recorded)
  write_hash(id, spec, lane, 'waiting', nil, max_attempts, apart, traits, cjson.encode(options))
  if recorded == '1' then
    redis.call('XADD', events, '*', 'event', 'enqueued', 'job', id, 'at', now, 'attempt', 0, 'spec', spec)
  end
  place_with_options(id, lane, delay_ms, options)
  return 'ok'
end

local function accept_plain(id, spec, lane, delay_ms, recorded, max_attempts, apart)
  local traits = (recorded == '1' and 'r' or '') .. (apart ~= '' and 'a' or '')
  if delay_ms > 0 then
    wait_for_time(id, now + delay_ms)
    write_hash(id, spec, lane, 'scheduled', nil, max_attempts, apart, traits, '')
    move(nil, 'scheduled')
  else
    local message_id = redis.call('XADD', lanes[lane], '*', 'id', id)
    write_hash(id, spec, lane, 'pending', message_id, max_attempts, apart, traits, '')
    move(nil, 'pending')
    wake_later()
  end
  if recorded == '1' then
    redis.call('XADD', events, '*', 'event', 'enqueued', 'job', id, 'at', now, 'attempt', 0, 'spec', spec)
  end
  return 'ok'
end

local function accept(id, spec, lane, delay_ms, recorded, max_attempts, apart, flow)
  if redis.call('EXISTS', job .. id) == 1 then return 'kept' end
  if recorded == '1' and events_are_full() then return 'backlog' end
  local delay = tonumber(delay_ms)
  if flow == '' then return accept_plain(id, spec, lane, delay, recorded, max_attempts, apart) end
  return accept_with_options(id, spec, lane, delay, recorded, max_attempts, apart, flow)
end
