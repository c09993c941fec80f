-- One job's record and state, unless its time is over.
--
-- KEYS  1 jobs, 2 state, 3 meta
-- ARGV  1 id
-- Reply {} if there is none, else {record, state or nil}
-- Cost  O(1)
-- include: now record retention

local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then
  return {}
end
local state = redis.call('HGET', KEYS[2], ARGV[1])
if state then
  local letter, _, ended = parse_state(state)
  if letter and ended and is_past(retention(KEYS[3]), letter, ended, now()) then
    return {}
  end
end
return {record, state}
