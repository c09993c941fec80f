-- Tells what a worker holds, from a token on.
--
-- KEYS  1 processing:<worker>
-- ARGV  1 the token, 2 how many deliveries at most
-- Reply the deliveries with this token and greater ones, in the order in which they were handed out
-- Cost  O(log held) look-ups, and O(deliveries)

local PROCESSING, token, most = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

-- Tokens grow along the list. What is no delivery counts as one of the smallest.
local low, high = 0, redis.call('LLEN', PROCESSING)
while low < high do
  local middle = math.floor((low + high) / 2)
  local found = string.match(redis.call('LINDEX', PROCESSING, middle), '^(%d+):')
  if tonumber(found or 0) < token then
    low = middle + 1
  else
    high = middle
  end
end
return redis.call('LRANGE', PROCESSING, low, low + most - 1)
