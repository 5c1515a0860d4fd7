-- Accepts a job with options that most do without: a key, a unique key, an expiry, parents, a retention.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell credits home
--      job payload result steps
-- ARGV now_ms group keep_ms
-- USES clock tally bell state lanes flow line parked record leave unique letgo finish endings ready kin accept
local MOST_IN_LINE = 10000

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

-- Whom the job would wait for on this queue, by itself or through others, as far as it pays to look.
local function line_of(parents)
  local seen, line = {}, {}
  local function add(ids)
    for _, id in ipairs(ids) do
      if not seen[id] then
        seen[id] = true
        line[#line + 1] = id
      end
    end
  end

  add(parents)
  for at = 1, MOST_IN_LINE do
    if not line[at] then break end
    add(redis.call('SMEMBERS', home .. 'parents:' .. line[at]))
  end
  return seen
end

local function refusal(options)
  for _, parent in ipairs(options.parents or {}) do
    if not parent:find('/', 1, true) and redis.call('EXISTS', job .. parent) == 0 then return 'orphan ' .. parent end
  end
  local line = options.joins and options.parents and line_of(options.parents)
  for _, target in ipairs(options.joins or {}) do
    if redis.call('EXISTS', home .. 'parents:' .. target) == 0 then return 'unjoinable ' .. target end
    -- Each would wait for the other for ever.
    if line and line[target] then return 'circular ' .. target end
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
