-- Tells which keys of some kinds there are, and how many jobs of each ended with which status: kept now, and ever; and
-- how often jobs of each were retried.
--
-- KEYS  1 kinds, 2 totals; then for each kind: due, bell, finished done, failed, panic, cancelled
-- ARGV  the kinds
-- Reply for each {1 if it is among the kinds, 1 if its due set exists, 1 if its bell does, then how many are kept as done,
--       failed, panic, cancelled, then the total of each and of retries, or nil}
-- Cost  O(1) for each kind
local OUTCOMES = {'done', 'failed', 'panic', 'cancelled'}
local reply = {}
for index, kind in ipairs(ARGV) do
  local first = 3 + 6 * (index - 1)
  local facts = {
    redis.call('SISMEMBER', KEYS[1], kind), redis.call('EXISTS', KEYS[first]), redis.call('EXISTS', KEYS[first + 1]),
  }
  for place = 1, #OUTCOMES do
    facts[3 + place] = redis.call('ZCARD', KEYS[first + 1 + place])
  end
  for place, outcome in ipairs(OUTCOMES) do
    facts[7 + place] = redis.call('HGET', KEYS[2], outcome .. ':' .. kind)
  end
  facts[8 + #OUTCOMES] = redis.call('HGET', KEYS[2], 'retried:' .. kind)
  reply[index] = facts
end
return reply
