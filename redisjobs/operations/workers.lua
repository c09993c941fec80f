-- Tells what is stored of some workers, registered or not.
--
-- KEYS  1 workers, 2 worker-info; then processing:<worker> of each
-- ARGV  the workers
-- Reply for each {µs left of its lease (text, negative if that lapsed; nil: it is not registered), 1 if it is being reaped,
--       its info or nil, how many deliveries it holds}
-- Cost  O(log workers) for each
-- include: now text

local time = now()
local reply = {}
for index, worker in ipairs(ARGV) do
  local lease = redis.call('ZSCORE', KEYS[1], worker)
  reply[index] = {
    lease and integer(tonumber(lease) - time),
    lease and tonumber(lease) == 0 and 1 or 0,
    redis.call('HGET', KEYS[2], worker),
    redis.call('LLEN', KEYS[2 + index]),
  }
end
return reply
