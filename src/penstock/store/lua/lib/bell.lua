-- Wakes idle workers: one token a job, at most 64 waiting, so the list never grows with the load.
--
-- KEYS bell
local BELL_TOKENS = 64
local wakes = 0

local function ring(jobs)
  local room = math.min(jobs, BELL_TOKENS - redis.call('LLEN', bell))
  local tokens = {}
  for token = 1, room do tokens[token] = '1' end
  if room > 0 then redis.call('RPUSH', bell, unpack(tokens)) end
end

-- For what became ready on the way, rung once at the end.
local function wake_later()
  wakes = wakes + 1
end

local function write_wakes()
  if wakes > 0 then ring(wakes) end
  wakes = 0
end
