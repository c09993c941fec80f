-- Enters a worker, and says for the queue how long finished records are kept. A worker that comes back from a lapse names
-- the ids it held: their losses are lowered by one, since a lapse is not a death. One that is being reaped stays so, where
-- its registration arrives late.
--
-- KEYS  1 workers, 2 worker-info, 3 meta, 4 losses
-- ARGV  1 worker, 2 lease (µs), 3 its info, 4 schema version, 5 how many settings; name and value of each setting of meta;
--       the ids it held
-- Reply {'ok'} (one that is being reaped learns it from its next beat or claim); {'schema', version}: data of a newer
--       release, nothing was written
-- Cost  O(ids)
-- include: limits now text allow_writes

local WORKERS, INFO, META, LOSSES = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local worker, lease_us, schema, settings = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])

local version = redis.call('HGET', META, 'schema')
if version and tonumber(version) > schema then
  return {'schema', version}
end
local lease = redis.call('ZSCORE', WORKERS, worker)
if lease and tonumber(lease) == 0 then
  return {'ok'}
end

allow_writes(WORKERS)
redis.call('ZADD', WORKERS, integer(now() + lease_us), worker)
redis.call('HSET', INFO, worker, ARGV[3])
redis.call('HSETNX', META, 'schema', ARGV[4])
for index = 6, 5 + 2 * settings, 2 do
  redis.call('HSET', META, ARGV[index], ARGV[index + 1])
end
if not lease then
  for index = 6 + 2 * settings, #ARGV do
    local id = ARGV[index]
    local count = tonumber(redis.call('HGET', LOSSES, id) or 0)
    if count > 1 then
      redis.call('HSET', LOSSES, id, integer(count - 1))
    elseif count == 1 then
      redis.call('HDEL', LOSSES, id)
    end
  end
end
return {'ok'}
