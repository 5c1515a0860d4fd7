-- Removes messages that no job answers to: its job is gone, has ended, or waits under another message.
-- Claims drop such leftovers when they meet them; this finds those that were delivered before.
--
-- KEYS stream stream_high stream_low stream_suspects home job
-- ARGV group lane after most
-- USES state departures
-- RETURNS {removed, last}: messages removed, and the id to go on after ('' at the end)
local entries = redis.call('XRANGE', lanes[lane], after == '' and '-' or '(' .. after, '+', 'COUNT', most)
local removed = 0
for _, entry in ipairs(entries) do
  local state = read(entry[2][2])
  if not state or state.ended or state.message_id ~= entry[1] then
    leave_message(lane, entry[1])
    removed = removed + 1
  end
end
write_messages()
return { removed, #entries > 0 and entries[#entries][1] or '' }
