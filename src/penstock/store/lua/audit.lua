-- Compares what the counts say with what the streams and sets hold. In health every pair is equal.
--
-- KEYS stream stream_high stream_low stream_suspects leases scheduled counts index home
-- ARGV group
-- USES lanes groups
-- RETURNS {counted, held, …}: two numbers each for ready or running, running, waiting for a time, completed,
--         failed, cancelled, waiting and suspended; then messages handed out beyond the leases and 0, and lanes whose waiting
--         messages the group will never be given and 0
local function counted(...)
  local sum = 0
  for _, value in ipairs(redis.call('HMGET', counts, ...)) do sum = sum + (tonumber(value) or 0) end
  return sum
end

local depth, delivered, stuck = 0, 0, 0
for _, lane in pairs(lanes) do
  local length, facts = redis.call('XLEN', lane), facts_of_group(lane)
  depth = depth + length
  if facts then
    delivered = delivered + facts.pending
    local waiting = length > facts.pending
    if waiting and #redis.call('XRANGE', lane, '(' .. facts.last, '+', 'COUNT', 1) == 0 then stuck = stuck + 1 end
  end
end
return {
  counted('pending', 'processing'), depth,
  counted('processing'), redis.call('ZCOUNT', leases, '(0', '+inf'),
  counted('scheduled', 'retrying'), redis.call('ZCARD', scheduled),
  counted('completed'), redis.call('ZCARD', index .. 'completed'),
  counted('failed'), redis.call('ZCARD', index .. 'failed'),
  counted('cancelled'), redis.call('ZCARD', index .. 'cancelled'),
  counted('waiting'), redis.call('ZCARD', index .. 'waiting'),
  counted('suspended'), redis.call('ZCARD', index .. 'suspended'),
  math.max(delivered - redis.call('ZCARD', leases), 0), 0,
  stuck, 0,
}
