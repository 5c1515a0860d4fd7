-- Accepts jobs on the usual terms: none → pending. Most jobs are such, and this way is as short as can be.
--
-- KEYS stream counts bell job
-- EACH id spec
-- USES plain
-- RETURNS one code a job: 'ok', or 'kept' (the id was there before)
local codes = {}
for at = FIRST, #ARGV, STRIDE do codes[#codes + 1] = accept_plain(ARGV[at], ARGV[at + 1]) end
write_plain()
return codes
