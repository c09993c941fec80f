-- Prolongs a worker's lease, and tells which leases of others have lapsed.
--
-- KEYS  1 workers, 2 worker-info
-- ARGV  1 worker, 2 lease (µs), 3 its info, if that changed ('' if not)
-- Reply {'unregistered'}; {'ok', 1 if its own lease had lapsed, then for each lapsed worker: its id, when, its info}
-- Cost  O(log workers); at most 100 lapsed workers are named
-- include: now text allow_writes

local WORKERS, INFO = KEYS[1], KEYS[2]
local worker, info = ARGV[1], ARGV[3]
local lease = tonumber(redis.call('ZSCORE', WORKERS, worker) or 0)
if lease == 0 then
  return {'unregistered'}
end

local time = now()
allow_writes(WORKERS)
redis.call('ZADD', WORKERS, integer(time + tonumber(ARGV[2])), worker)
if info ~= '' then
  redis.call('HSET', INFO, worker, info)
end
local reply = {'ok', lease <= time and 1 or 0}
local lapsed = redis.call('ZRANGEBYSCORE', WORKERS, '-inf', integer(time), 'WITHSCORES', 'LIMIT', 0, 100)
for index = 1, #lapsed, 2 do
  reply[#reply + 1] = lapsed[index]
  reply[#reply + 1] = lapsed[index + 1]
  reply[#reply + 1] = redis.call('HGET', INFO, lapsed[index]) or ''
end
return reply
