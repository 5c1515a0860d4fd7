-- The streams that jobs travel on. A job's lane says on which its message is.
--
-- KEYS stream stream_high stream_low stream_suspects home
local lanes = {
  normal = stream, high = stream_high, low = stream_low, suspects = stream_suspects, keyed = home .. 'stream:keyed',
}
