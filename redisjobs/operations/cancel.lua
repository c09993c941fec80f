-- Ends a waiting job as CANCELLED.
--
-- KEYS  1 jobs, 2 state, 3 losses, 4 totals, 5 meta, 6 waited; then, where the kind is known: due, bell, finished cancelled
-- ARGV  1 id, 2 its kind ('' if not known), 3 body of a state that has none
-- Reply {'ok'}; {'no'}: nothing of this id waits; {'kind', name}: repeat with the keys of this kind
-- Cost  O(log waiting)
-- include: limits now text record retention bell batch finish announce

local JOBS, STATE, LOSSES, TOTALS, META, WAITED = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id = ARGV[1]
local record = redis.call('HGET', JOBS, id)
if not record then
  return {'no'}
end
local kind = kind_of(record)
if not kind then
  return {'no'}
end
if kind ~= ARGV[2] then
  return {'kind', kind}
end
if redis.call('ZREM', KEYS[7], id) == 0 then
  return {'no'}
end

local time, attempts, body = now(), '0', ARGV[3]
local old = redis.call('HGET', STATE, id)
if old then
  local _, before, _, kept = parse_state(old)
  attempts, body = before or attempts, kept or body
end
redis.call('HDEL', LOSSES, id)
redis.call('HINCRBY', TOTALS, 'cancelled:' .. kind, 1)
finish(JOBS, STATE, KEYS[9], retention(META).C, time, {id},
  {'C' .. attempts .. ':' .. integer(time) .. ':' .. body})
announce(WAITED, {id}, 'C')
silence_if_empty(KEYS[7], KEYS[8])
return {'ok'}
