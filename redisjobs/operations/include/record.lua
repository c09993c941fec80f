-- kind_of(record) -> the kind in a job's record: format byte, kind, NUL, header, NUL, body. nil if it has none.
local function kind_of(record)
  return string.match(record, '^[^%z](%Z+)%z')
end

-- parse_state(state) -> letter, attempts (text), time in microseconds (number), body. nil if it cannot be read.
local function parse_state(state)
  local letter, attempts, time, body = string.match(state, '^(%u)(%d+):(%d+):(.*)$')
  return letter, attempts, tonumber(time), body
end
