-- Says whether a job has ended, and if it has not, has its end published.
--
-- KEYS  1 jobs, 2 state, 3 meta, 4 waited
-- ARGV  1 id, 2 for how long its end is to be published (ms)
-- Reply 'none': there is no such job; 'ended'; 'waits': its end will be told on the channel <waited>:<id>
-- Cost  O(log waited)
-- include: now text record retention

local JOBS, STATE, META, WAITED = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, keep_ms = ARGV[1], tonumber(ARGV[2])
if redis.call('HEXISTS', JOBS, id) == 0 then
  return 'none'
end
local time = now()
local state = redis.call('HGET', STATE, id)
if state then
  local letter, _, ended = parse_state(state)
  if letter and letter ~= 'P' then
    return is_past(retention(META), letter, ended, time) and 'none' or 'ended'
  end
end
redis.call('ZREMRANGEBYSCORE', WAITED, '-inf', integer(time))
redis.call('ZADD', WAITED, integer(time + keep_ms * 1000), id)
redis.call('PEXPIRE', WAITED, integer(keep_ms))
return 'waits'
