-- Reads the records and states of some ids, as many as fit.
--
-- KEYS  1 jobs, 2 state, 3 meta
-- ARGV  the ids, at most 1,000
-- Reply for each id that was read, one at least: {record or nil, state or nil, 1 if its time is over}
-- Cost  O(ids); reads at most about twice BYTES of records and states
-- include: limits now record retention read_records

local records, states, read
records, read = read_records(KEYS[1], ARGV, #ARGV)
states, read = read_records(KEYS[2], ARGV, read)

local time, keeps = now(), retention(KEYS[3])
local reply = {}
for index = 1, read do
  local past = 0
  if states[index] then
    local letter, _, ended = parse_state(states[index])
    past = letter and is_past(keeps, letter, ended, time) and 1 or 0
  end
  reply[index] = {records[index], states[index], past}
end
return reply
