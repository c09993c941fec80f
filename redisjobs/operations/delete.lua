-- Removes a job that waits or has ended. One that runs stays.
--
-- KEYS  1 jobs, 2 state, 3 losses, 4 meta, 5 waited; then, where the kind is known: due, bell, finished done, failed, panic, cancelled
-- ARGV  1 id, 2 its kind ('' if not known)
-- Reply {'ok'}; {'no'}: there is no such job, or it runs; {'kind', name}: repeat with the keys of this kind;
--       {'damaged', kind or ''}: its kind or its state cannot be read, and it does not wait as this kind
-- Cost  O(log waiting)
-- include: now record retention bell announce

local JOBS, STATE, LOSSES, META, WAITED = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id = ARGV[1]
local FINISHED = {D = 8, F = 9, X = 10, L = 10, C = 11}
local record = redis.call('HGET', JOBS, id)
if not record then
  return {'no'}
end
local kind = kind_of(record)
if not kind then
  return {'damaged', ''}
end
if kind ~= ARGV[2] then
  return {'kind', kind}
end
local state = redis.call('HGET', STATE, id)
local letter, ended
if state then
  local _
  letter, _, ended = parse_state(state)
end
if redis.call('ZREM', KEYS[6], id) == 0 then
  if state and not letter then
    return {'damaged', kind}
  end
  if not FINISHED[letter] or is_past(retention(META), letter, ended, now()) then
    return {'no'}
  end
  redis.call('ZREM', KEYS[FINISHED[letter]], id)
end
redis.call('HDEL', JOBS, id)
redis.call('HDEL', STATE, id)
redis.call('HDEL', LOSSES, id)
announce(WAITED, {id}, '-')
silence_if_empty(KEYS[6], KEYS[7])
return {'ok'}
