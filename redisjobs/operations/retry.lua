-- Makes a FAILED, PANIC or CANCELLED job wait again, due now, with no attempts and no losses.
--
-- KEYS  1 jobs, 2 state, 3 losses, 4 meta; then, where the kind is known: due, bell, finished failed, panic, cancelled
-- ARGV  1 id, 2 its kind ('' if not known)
-- Reply {'ok'}; {'no'}: there is no such job, or it is in another state; {'kind', name}: repeat with the keys of this kind
-- Cost  O(log waiting)
-- include: limits now text record retention bell

local JOBS, STATE, LOSSES, META = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id = ARGV[1]
local FINISHED = {F = 7, X = 8, L = 8, C = 9}
local record, state = redis.call('HGET', JOBS, id), redis.call('HGET', STATE, id)
if not record or not state then
  return {'no'}
end
local letter, _, ended, body = parse_state(state)
local time = now()
if not letter or not FINISHED[letter] or is_past(retention(META), letter, ended, time) then
  return {'no'}
end
local kind = kind_of(record)
if not kind then
  return {'no'}
end
if kind ~= ARGV[2] then
  return {'kind', kind}
end

redis.call('ZREM', KEYS[FINISHED[letter]], id)
redis.call('HDEL', LOSSES, id)
redis.call('HSET', STATE, id, 'P0:' .. integer(time) .. ':' .. body)
redis.call('ZADD', KEYS[5], score_text(time), id)
ring(KEYS[6], 1)
return {'ok'}
