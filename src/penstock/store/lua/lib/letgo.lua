-- What a job lets go of at its end: its place under its key, its unique key, its children, its followers.
-- Children may be any number, so the job joins a list that is emptied in chunks.
--
-- KEYS home job bell
-- USES clock state flow line rates unique bell
local function tell_followers(id, status)
  redis.call('XADD', home .. 'live:' .. id, '*', 'kind', 'end', 'at', now, 'body', status)
  redis.call('PUBLISH', home .. 'calls', 'end ' .. id)
end

-- A job that will wait again (a retry, a suspension) gives up its place under its key, and nothing else.
local function let_go_of_place(id, traits)
  if not has(traits, 'k') then return end
  local options = flow_of(id)
  free_place(id, options)
  if not (options.rate and options.units and return_units(options.rate, id)) then return end
  for _, lane in ipairs(HOME_LANES) do wake_first(lane, options.rate) end
end

local function let_go(id, traits, status)
  let_go_of_place(id, traits)
  if has(traits, 'u') then free_unique(flow_of(id).unique, id) end
  if has(traits, 'x') then redis.call('ZREM', home .. 'timers', 'late ' .. id) end
  if has(traits, 'c') then
    redis.call('RPUSH', home .. 'fanout', id)
    wake_later()
  end
  if has(traits, 'l') then tell_followers(id, status) end
end
