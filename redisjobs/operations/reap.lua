-- Takes one chunk of a dead worker's jobs back, from the tail of its list, and forgets the worker when none is left.
-- Each job counts a loss. One that lost its worker too often ends as PANIC; the others go to the head of their due sets.
--
-- KEYS  1 jobs, 2 state, 3 workers, 4 worker-info, 5 processing:<worker>, 6 losses, 7 totals, 8 meta, 9 waited;
--       then for each kind: due, bell, finished panic
-- ARGV  1 worker, 2 the lapsed time that the reaper judged ('' reaps whatever it is: its process is known to be dead),
--       3 how many at most, 4 max_losses, 5 body of a state that has none; the names of the kinds
-- Reply {'ok', taken back, left, condemned ids...}; {'alive'}: its lease is another than the judged one;
--       {'gone'}: no such worker; {'kind', names...}: nothing was written, repeat with the keys of these kinds
-- Cost  O(chunk · log waiting); reads at most about BYTES of records
-- include: limits now text record retention bell batch read_records group_by_kind to_head finish allow_writes announce

local JOBS, STATE, WORKERS, INFO, PROCESSING, LOSSES, TOTALS, META, WAITED =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local worker, judged, most, max_losses, no_body = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

local lease = redis.call('ZSCORE', WORKERS, worker)
if not lease then
  return {'gone'}
end
if judged ~= '' and tonumber(lease) ~= 0 and lease ~= judged then
  return {'alive'}
end

-- Read backwards, so that what does not fit in one call is what came first. What is no delivery (a human hand's) goes, too.
local ids, entries = {}, {}
local tail = redis.call('LRANGE', PROCESSING, -math.min(most, VALUES), -1)
for index = #tail, 1, -1 do
  local id = string.match(tail[index], '^%d+:(.*)$')
  if id then
    ids[#ids + 1] = id
    entries[#ids] = #tail - index + 1
  end
end
local groups, read, unknown = {}, 0, {}
if #ids > 0 then
  groups, read, unknown = group_by_kind(JOBS, ids, named(6))
end
if #unknown > 0 then
  return unnamed(unknown)
end

allow_writes(WORKERS)
local through = read < #ids and (entries[read] or 0) or #tail
redis.call('LTRIM', PROCESSING, 0, -(through + 1))
redis.call('ZADD', WORKERS, 0, worker)

local time, keeps = now(), retention(META)
local condemned, moved = {}, 0

local function condemn(kind, members)
  local states, ended = {}, integer(time)
  for index, id in ipairs(members) do
    local old = redis.call('HGET', STATE, id)
    local attempts, body = '0', no_body
    if old then
      local _, before, _, kept = parse_state(old)
      attempts, body = before or attempts, kept or body
    end
    states[index] = 'L' .. attempts .. ':' .. ended .. ':' .. body
    condemned[#condemned + 1] = id
  end
  redis.call('HINCRBY', TOTALS, 'panic:' .. ARGV[5 + kind], #members)
  in_batches('HDEL', LOSSES, members)
  finish(JOBS, STATE, KEYS[9 + 3 * kind], keeps.L, time, members, states)
  announce(WAITED, members, 'L')
end

for kind, members in pairs(groups) do
  local back, guilty = {}, {}
  for index = #members, 1, -1 do
    local id = ids[members[index]]
    if redis.call('HINCRBY', LOSSES, id, 1) > max_losses then
      guilty[#guilty + 1] = id
    else
      back[#back + 1] = id
    end
  end
  if #back > 0 then
    to_head(KEYS[7 + 3 * kind], KEYS[8 + 3 * kind], back, time)
  end
  if #guilty > 0 then
    condemn(kind, guilty)
  end
  moved = moved + #members
end

local left = redis.call('LLEN', PROCESSING)
if left == 0 then
  redis.call('ZREM', WORKERS, worker)
  redis.call('HDEL', INFO, worker)
end
local reply = {'ok', moved, left}
for _, id in ipairs(condemned) do
  reply[#reply + 1] = id
end
return reply
