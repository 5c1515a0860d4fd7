-- Accepts a job on the usual terms: at once, on the normal lane, not recorded, three attempts, nothing apart.
-- A job id that is already kept is left as it is, so a repeated call makes no double.
--
-- KEYS stream counts job bell
-- USES bell
local accepted = 0

-- The fields are given one by one: a table of them would cost as much as the command.
local function accept_plain(id, spec)
  local key = job .. id
  if redis.call('EXISTS', key) == 1 then return 'kept' end
  local message_id = redis.call('XADD', stream, '*', 'id', id)
  redis.call('HSET', key, 'status', 'pending', 'message_id', message_id, 'spec', spec)
  accepted = accepted + 1
  return 'ok'
end

local function write_plain()
  if accepted == 0 then return end
  redis.call('HINCRBY', counts, 'pending', accepted)
  ring(accepted)
end
