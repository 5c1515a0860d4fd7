-- The bond between a parent and its children: how the parent ended, or that it is to tell them.
--
-- KEYS home job
-- USES state trait
local ENDINGS = { completed = true, failed = true, cancelled = true }

local function ending_of(parent)
  local raw = redis.pcall('HMGET', job .. parent, 'status', 'result', 'result_apart', 'error')
  if raw.err then return 'failed', '' end
  if not raw[1] then return 'gone', '' end
  if raw[1] ~= 'completed' then return raw[1], raw[4] or '' end
  if raw[3] then return raw[1], redis.call('GET', home .. 'result:' .. parent) or '' end
  return raw[1], raw[2] or ''
end

-- Notes a child with a parent that has not ended; false when it has, or cannot be read.
local function bear(parent, child)
  local raw = redis.pcall('HMGET', job .. parent, 'status', 'traits')
  if raw.err or not raw[1] or ENDINGS[raw[1]] then return false end
  redis.call('SADD', home .. 'children:' .. parent, child)
  add_trait(parent, raw[2], 'c')
  return true
end
