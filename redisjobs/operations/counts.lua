-- Counts the jobs of some kinds by what they wait for or how they ended.
--
-- KEYS  1 meta; then for each kind: due, finished done, failed, panic, cancelled
-- ARGV  none
-- Reply for each kind {scheduled, ready, done, failed, panic, cancelled, µs since the first of them came due (-1: none did)};
--       records past their time or over their limit do not count
-- Cost  O(log jobs) for each kind
-- include: now text retention

local keeps, time = retention(KEYS[1]), now()
local STATUSES = {'D', 'F', 'X', 'C'}
local reply = {}
for first = 2, #KEYS, 5 do
  local due, instant = KEYS[first], score_text(time)
  local counts = {redis.call('ZCOUNT', due, '(' .. instant, '+inf'), redis.call('ZCOUNT', due, '-inf', instant)}
  for place, letter in ipairs(STATUSES) do
    local keep = keeps[letter]
    local in_time = redis.call('ZCOUNT', KEYS[first + place], '(' .. integer(time - keep[1]), '+inf')
    counts[#counts + 1] = math.min(in_time, keep[2])
  end
  local earliest = tonumber(redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2])
  counts[#counts + 1] = earliest and earliest <= time and math.floor(time - earliest) or -1
  reply[#reply + 1] = counts
end
return reply
