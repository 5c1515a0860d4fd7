-- The options that few jobs have, kept as one JSON field so that the others pay nothing for them.
--
-- KEYS job
local function flow_of(id)
  local raw = redis.pcall('HGET', job .. id, 'flow')
  if type(raw) ~= 'string' then return {} end
  local is_sound, options = pcall(cjson.decode, raw)
  return is_sound and type(options) == 'table' and options or {}
end
