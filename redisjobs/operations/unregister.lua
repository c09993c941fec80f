-- Forgets a worker that holds nothing.
--
-- KEYS  1 workers, 2 worker-info, 3 processing:<worker>
-- ARGV  1 worker
-- Reply how many deliveries it still holds; it is forgotten if that is 0
-- Cost  O(log workers)
local left = redis.call('LLEN', KEYS[3])
if left == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
end
return left
