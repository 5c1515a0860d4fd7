-- Notes that a job has something few jobs have; see `has`.
--
-- KEYS job
-- USES state
local function add_trait(id, traits, letter)
  if has(traits, letter) then return traits end
  traits = (traits or '') .. letter
  redis.call('HSET', job .. id, 'traits', traits)
  return traits
end
