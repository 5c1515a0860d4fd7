-- Forgets dead letters: failed → none, with every key the job had.
--
-- KEYS counts index dlq events bell home job payload result steps
-- ARGV required
-- EACH id
-- USES tally state forget
-- RETURNS one code a job: 'ok', 'gone', 'unread' (history has not read its last event yet), 'untold' (nor have all its
--         children been told), else the status of a job that has not failed, 'corrupt' for one that cannot be read
local codes = {}

local function discard(id)
  local state, problem = read(id)
  if problem then return problem end
  if state.status ~= 'failed' then return state.status end
  local raw = redis.call('HMGET', job .. id, 'letter', 'event_id')
  if is_history_behind(raw[2]) then return 'unread' end
  if has(state.traits, 'c') and redis.call('EXISTS', home .. 'children:' .. id) == 1 then return 'untold' end
  if raw[1] then redis.call('XDEL', dlq, raw[1]) end
  delete_keys(id, true)
  strike_off(id, 'failed')
  return 'ok'
end

for at = FIRST, #ARGV, STRIDE do codes[#codes + 1] = discard(ARGV[at]) end
write_tally()
return codes
