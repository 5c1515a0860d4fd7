-- Which of two stream ids comes first.
--
local function is_before(one, other)
  local one_ms, one_place = one:match('(%d+)-(%d+)')
  local other_ms, other_place = other:match('(%d+)-(%d+)')
  one_ms, other_ms = tonumber(one_ms), tonumber(other_ms)
  if one_ms ~= other_ms then return one_ms < other_ms end
  return tonumber(one_place) < tonumber(other_place)
end
