-- Parents and children. What a job still waits for is a set of parents, never a count; what a parent has to
-- tell when it ends is a set of children. A child on another queue is written `queue/id` and told by way of
-- the crossings, which workers carry over.
--
-- KEYS home job scheduled
-- USES clock tally state flow bonds ready leave letgo endings quarantine lanes
local function end_child(child, state, parent, status, policy)
  local problem = 'ParentFailed: its parent ' .. parent .. ' ended as ' .. status
  if policy == 'fail' then
    fail(child, state, problem, '')
  else
    cancel(child, state, problem)
  end
end

-- One parent has ended: the child learns of it, and goes on when it waits for no other.
local function tell_child(child, parent, status, body)
  if redis.call('SREM', home .. 'parents:' .. child, parent) == 0 then return 'known' end
  local state, problem = read(child)
  if problem == 'corrupt' then quarantine(child, 'waiting') end
  if problem or state.status ~= 'waiting' then return 'known' end
  local options = flow_of(child)
  local policy = options.on_failure or 'cancel'
  if status ~= 'completed' and policy ~= 'run' then
    end_child(child, state, parent, status, policy)
    return 'ended'
  end
  redis.call('HSET', home .. 'inputs:' .. child, parent, status .. ' ' .. body)
  if redis.call('EXISTS', home .. 'parents:' .. child) == 1 then return 'waiting' end
  leave(child, state)
  if options.due and options.due > now then
    redis.call('ZADD', scheduled, options.due, child)
    redis.call('HSET', job .. child, 'status', 'scheduled')
    move('waiting', 'scheduled')
  else
    make_ready(child, state)
  end
  return 'ready'
end

local function tell_abroad(child, parent, status, body)
  redis.call('XADD', home .. 'crossings', '*', 'child', child, 'parent', parent, 'status', status, 'body', body)
  wake_later()
end

-- Tells up to `most` children of one parent; answers how many, and whether none is left to tell.
local function tell_children(parent, most)
  local status, body = ending_of(parent)
  -- One that was put back meanwhile has not ended, and tells them at its next end.
  if not ENDINGS[status] and status ~= 'gone' then return 0, true end
  local told = 0
  while told < most do
    local child = redis.call('SPOP', home .. 'children:' .. parent)
    if not child then return told, true end
    told = told + 1
    if child:find('/', 1, true) then
      tell_abroad(child, parent, status, body)
    else
      tell_child(child, parent, status, body)
    end
  end
  return told, redis.call('EXISTS', home .. 'children:' .. parent) == 0
end

-- Tells up to `most` children of the parents that have ended; the rest waits for the next call.
local function resolve(most)
  local told = 0
  while told < most do
    local parent = redis.call('LINDEX', home .. 'fanout', 0)
    if not parent then return end
    local count, is_done = tell_children(parent, most - told)
    told = told + count
    if is_done then redis.call('LPOP', home .. 'fanout') end
  end
end
