-- Accepts one job that begins with what another one has finished: its steps, the signals they took, and what
-- its parents ended with. All of it in one stroke: a worker that claims the job finds the steps there.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell credits home
--      job payload result steps
-- ARGV now_ms group keep_ms max_events source id spec terms apart
-- EACH kind field
-- USES clock tally bell state trait record accept
-- RETURNS one code: 'ok', 'kept' (the id was there before), 'backlog', 'gone' (there is no such source)
local copied = 0

local function copy(kind, field)
  local body = redis.call('HGET', (kind == 'step' and steps or home .. 'signals:') .. source, field)
  if not body then return end
  if kind == 'step' then
    redis.call('HSET', steps .. id, field, body)
    record('step', id, state, 'name', field, 'body', body)
    copied = copied + 1
  else
    redis.call('HSET', home .. 'signals:' .. id, field, body)
    redis.call('HINCRBY', home .. 'signals:' .. id, field:match('^(.*#)'), 1)
    state.traits = add_trait(id, state.traits, 's')
  end
end

local function copy_inputs()
  local inputs = redis.call('HGETALL', home .. 'inputs:' .. source)
  if #inputs == 0 then return end
  redis.call('HSET', home .. 'inputs:' .. id, unpack(inputs))
  add_trait(id, state.traits, 'p')
end

if redis.call('EXISTS', job .. source) == 0 then return { 'gone' } end
local code = accept(id, spec, terms, apart)
if code == 'ok' then
  read(id)
  for at = FIRST, #ARGV, STRIDE do copy(ARGV[at], ARGV[at + 1]) end
  -- A claim reads the steps only of a job that has an attempt.
  if copied > 0 then redis.call('HSET', job .. id, 'steps', copied, 'attempt', 0) end
  copy_inputs()
end
write_accepted()
return { code }
