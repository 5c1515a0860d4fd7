-- Pauses the queue (claims give no jobs, what runs goes on) or lets it go on.
--
-- KEYS bell home
-- ARGV paused
-- USES bell
-- RETURNS 'ok'
if paused == '1' then
  redis.call('SET', home .. 'paused', '1')
else
  redis.call('DEL', home .. 'paused')
  ring(BELL_TOKENS)
end
return 'ok'
