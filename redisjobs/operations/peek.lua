-- Says whether a claim could find anything: a job that is due, or one that comes due at a time that nobody minds. What an idle
-- worker asks when it polls, since it is a fraction of a claim.
--
-- KEYS  for each kind: due, timekeeper
-- ARGV  none
-- Reply 1 or 0
-- Cost  O(1) for each kind
-- include: now

local time = now()
for kind = 1, #KEYS, 2 do
  local first = redis.call('ZRANGE', KEYS[kind], 0, 0, 'WITHSCORES')
  if first[2] then
    local score = tonumber(first[2])
    local word = score > time and redis.call('GET', KEYS[kind + 1])
    if not word or tonumber(string.match(word, '^%S+')) > score then
      return 1
    end
  end
end
return 0
