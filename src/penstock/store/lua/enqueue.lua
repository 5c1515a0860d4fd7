-- Accepts jobs on any terms: none → pending, scheduled when a delay is given, waiting for parents or a key's turn.
-- A job id that is already kept is left as it is, so a repeated call makes no double.
-- Terms are empty, which are the usual ones, or `lane delay_ms record max_attempts flow`.
--
-- KEYS stream stream_high stream_low stream_suspects scheduled counts events bell home job payload
-- ARGV now_ms group keep_ms max_events
-- EACH id spec terms apart
-- USES accept
-- RETURNS one code a job: 'ok', 'kept' (the id was there before), 'backlog' (the events stream is full),
--         'orphan <parent>' (no such parent), 'unjoinable <job>' (it waits for no parents), 'circular <job>' (it
--         is waited for), 'unique <holder>' and 'rejected <holder>' (another job holds the unique key)
local codes = {}
for at = FIRST, #ARGV, STRIDE do
  codes[#codes + 1] = accept(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
end
write_accepted()
return codes
