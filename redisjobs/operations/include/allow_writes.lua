-- allow_writes(workers): a full Redis refuses the first write that allocates, and nothing after a write has passed. This
-- one frees (no worker has a blank id), so what the queue needs to drain itself still works there.
local function allow_writes(workers)
  redis.call('ZREM', workers, '')
end
