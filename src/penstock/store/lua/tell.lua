-- Tells children of parents that ended on other queues: waiting → pending, scheduled, or the end their policy
-- says. Told twice, they listen once.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index dlq events bell credits home
--      job payload result steps
-- ARGV now_ms group keep_ms
-- EACH child parent status body
-- USES clock tally bell state leave record endings ready kin
-- RETURNS one code a child: 'ready', 'waiting' (for others), 'ended', 'known'
local codes = {}
for at = FIRST, #ARGV, STRIDE do codes[#codes + 1] = tell_child(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]) end
write_departures()
write_tally()
write_finished()
return codes
