-- Accepts jobs that a running job makes, under that job's lease: a worker that lost it makes none.
--
-- KEYS stream stream_high stream_low stream_suspects scheduled counts events bell home job payload
-- ARGV now_ms group keep_ms max_events parent lease
-- EACH id spec terms apart
-- USES state accept
-- RETURNS one code a job, as enqueue does; 'lost' for all of them when the lease is no longer the parent's
local codes = {}
local maker = read(parent)
local is_held = maker and maker.lease == lease and maker.status == 'processing'
for at = FIRST, #ARGV, STRIDE do
  codes[#codes + 1] = is_held and accept(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]) or 'lost'
end
write_accepted()
return codes
