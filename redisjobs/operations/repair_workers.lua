-- Forgets what is stored of workers that are not registered.
--
-- KEYS  1 workers, 2 worker-info
-- ARGV  1 'mend', or 'tell' to write nothing; then the workers
-- Reply for each worker 1 if it was forgotten, else 0
-- Cost  O(log workers) for each

local WORKERS, INFO = KEYS[1], KEYS[2]
local reply = {}
for index = 2, #ARGV do
  local stays = redis.call('ZSCORE', WORKERS, ARGV[index]) or redis.call('HEXISTS', INFO, ARGV[index]) == 0
  reply[#reply + 1] = stays and 0 or 1
  if not stays and ARGV[1] == 'mend' then
    redis.call('HDEL', INFO, ARGV[index])
  end
end
return reply
