-- Removes a job whose kind or state cannot be read, wherever it waits or has ended. One that is held stays.
--
-- KEYS  1 jobs, 2 state, 3 losses, 4 workers, 5 waited; for each kind: due, bell, finished done, failed, panic, cancelled;
--       then the processing lists
-- ARGV  1 id, 2 the kind that was read in its record ('' if none), 3 '1' if no kind can have that name, 4 how many kinds;
--       the workers of the lists
-- Reply {'ok'}; {'no'}: there is no such job (any more), or it is held; {'worker', names...}: nothing was written, repeat with the
--       lists of all these
-- Cost  O(kinds + workers + held)
-- include: record announce

local JOBS, STATE, LOSSES, WORKERS, WAITED = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, first_list = ARGV[1], 6 + 6 * tonumber(ARGV[4])
local record, state = redis.call('HGET', JOBS, id), redis.call('HGET', STATE, id)
if not record or (kind_of(record) or '') ~= ARGV[2] then
  return {'no'}
end
if ARGV[3] ~= '1' and (not state or parse_state(state)) then
  return {'no'}
end
local known = {}
for index = 5, #ARGV do
  known[ARGV[index]] = true
end
local registered = redis.call('ZRANGE', WORKERS, 0, -1)
for _, worker in ipairs(registered) do
  if not known[worker] then
    table.insert(registered, 1, 'worker')
    return registered
  end
end
for list = first_list, #KEYS do
  for _, delivery in ipairs(redis.call('LRANGE', KEYS[list], 0, -1)) do
    if string.match(delivery, '^%d+:(.*)$') == id then
      return {'no'}
    end
  end
end

redis.call('HDEL', JOBS, id)
redis.call('HDEL', STATE, id)
redis.call('HDEL', LOSSES, id)
for key = 6, first_list - 1 do
  if (key - 6) % 6 ~= 1 then
    redis.call('ZREM', KEYS[key], id)
  end
end
for due = 6, first_list - 1, 6 do
  if redis.call('EXISTS', KEYS[due]) == 0 then
    redis.call('DEL', KEYS[due + 1])
  end
end
announce(WAITED, {id}, '-')
return {'ok'}
