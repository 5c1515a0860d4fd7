-- What can become of an attempt but its completion.
--
-- KEYS bell
-- USES endings release retry suspend quarantine
local outcomes = {
  fail = function(id, state, body, _, detail) fail(id, state, body, detail) end,
  cancel = function(id, state) cancel(id, state) end,
  retry = retry,
  back_off = back_off,
  defer = defer,
  release = release,
  lapse = lapse,
  suspend = suspend,
}
