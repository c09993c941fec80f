-- Looks at all places of some ids at one moment, and leaves each job in the one place in which it belongs. Drops what is no
-- delivery from the processing lists on the way.
--
-- KEYS  1 jobs, 2 state, 3 losses, 4 meta, 5 workers, 6 kinds; for each kind: due, bell, finished done, failed, panic,
--       cancelled (one kind at least); then the processing lists
-- ARGV  1 'mend', or 'tell' to write nothing, 2 how many kinds, 3 how many names that no kind can have, 4 how many lists,
--       5 body of a state that has none; the kinds; those names; the workers of the lists; for each id: the id, its RunAt
--       in µs ('' if not known); of the ids in one list the last ones first, as their order is kept when they are given back
-- Reply {'ok', {for each that was no delivery: the place in KEYS of its list, what it was}, for each id that was read
--       {verb, the place in KEYS where it is now (0: in none), the places in KEYS that it was taken out of}};
--       {'kind', names...}: nothing was written, repeat with these kinds; {'worker', names...}: repeat with all these lists
--       verbs: 'fits' as it was; 'stays' taken out of other places; 'placed' it was not where it belongs; 'ended' so, and
--       its state, which was lost, was made anew; 'gone' it has no record
-- Cost  O(ids · kinds + workers + held), O(log waiting) for each that is moved; reads at most about twice BYTES of records
--       and states
-- include: limits now text record read_records retention bell batch to_head allow_writes

local JOBS, STATE, LOSSES, META, WORKERS, KINDS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local kind_count, odd_count, list_count, no_body = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local AT_STATE, AT_LOSSES, FIRST_SET = 2, 3, 7
local FIRST_LIST = FIRST_SET + 6 * kind_count
local DUE, BELL = 0, 1 -- among the keys of a kind
local FINISHED = {D = 2, F = 3, X = 4, L = 4, C = 5}
local LETTERS = {[2] = 'D', [3] = 'F', [4] = 'X', [5] = 'C'}

local at = 6
-- The first key of each kind; false for a name that no kind can have.
local base_of, kind_at, list_of = {[''] = false}, {}, {}
for index = 1, kind_count do
  local base = FIRST_SET + 6 * (index - 1)
  base_of[ARGV[at]], kind_at[base] = base, ARGV[at]
  at = at + 1
end
for _ = 1, odd_count do
  base_of[ARGV[at]] = false
  at = at + 1
end
for index = 1, list_count do
  list_of[ARGV[at]] = FIRST_LIST + index - 1
  at = at + 1
end
local ids, run_ats = {}, {}
for index = at, #ARGV, 2 do
  ids[#ids + 1] = ARGV[index]
  run_ats[#ids] = tonumber(ARGV[index + 1])
end

local records, states, read = {}, {}, 0
if #ids > 0 then
  records, read = read_records(JOBS, ids, #ids)
  states, read = read_records(STATE, ids, read)
end
local missing, bases = {'kind'}, {}
for index = 1, read do
  local kind = records[index] and (kind_of(records[index]) or '')
  bases[index] = kind and base_of[kind]
  if kind and base_of[kind] == nil then
    missing[#missing + 1] = kind
  end
end
if #missing > 1 then
  return missing
end
local lives = {}
local registered = redis.call('ZRANGE', WORKERS, 0, -1)
for _, worker in ipairs(registered) do
  if not list_of[worker] then
    table.insert(registered, 1, 'worker')
    return registered
  end
  lives[list_of[worker]] = true
end

-- Where each id is: its sets with their scores, and its deliveries.
local time, given = now(), tonumber(redis.call('HGET', META, 'token') or 0) or 0
local spots, position = {}, {}
for index = 1, read do
  spots[index] = {sets = {}, score = {}, deliveries = {}}
  position[ids[index]] = spots[index]
end
for key = FIRST_SET, FIRST_LIST - 1 do
  if read > 0 and (key - FIRST_SET) % 6 ~= BELL then
    for index, score in ipairs(redis.call('ZMSCORE', KEYS[key], unpack(ids, 1, read))) do
      if score then
        table.insert(spots[index].sets, key)
        spots[index].score[key] = tonumber(score)
      end
    end
  end
end
local entries, dropped, junk = {}, {}, {}
for list = FIRST_LIST, FIRST_LIST + list_count - 1 do
  entries[list] = redis.call('LRANGE', KEYS[list], 0, -1)
  for place, entry in ipairs(entries[list]) do
    local token, id = string.match(entry, '^(%d+):(.+)$')
    if not token or #token > 16 then
      dropped[list] = dropped[list] or {}
      dropped[list][place] = true
      junk[#junk + 1] = list
      junk[#junk + 1] = entry
    elseif position[id] then
      table.insert(position[id].deliveries, {list = list, place = place, token = tonumber(token)})
    end
  end
end

-- lock(spot) -> the delivery that holds the job, if any: of several the latest, which has the greatest token that was given.
local function lock(spot)
  local best, rank
  for _, delivery in ipairs(spot.deliveries) do
    local its = delivery.token <= given and delivery.token or delivery.token - 2 ^ 53
    if lives[delivery.list] and (not best or its > rank) then
      best, rank = delivery, its
    end
  end
  return best
end

-- latest(spot) -> of the finished sets that have it, the one in which it ended last
local function latest(spot)
  local best
  for _, key in ipairs(spot.sets) do
    if not best or spot.score[key] > spot.score[best] then
      best = key
    end
  end
  return best
end

-- in_due(spot) -> a due set that has it, if any does
local function in_due(spot)
  for _, key in ipairs(spot.sets) do
    if (key - FIRST_SET) % 6 == DUE then
      return key
    end
  end
end

-- What is to be written, where it is more than taking out.
local to_state, to_finished, to_due, to_heads = {}, {}, {}, {}

local function give_back(index, base)
  to_heads[base] = to_heads[base] or {}
  table.insert(to_heads[base], ids[index])
end

-- Of a job that has not ended: the lock wins over the due set, and that over all else. Returns where it belongs, the
-- delivery that stays, and the verb if it has to be put there.
local function place_pending(index, base, letter, again_at)
  local spot, held = spots[index], lock(spots[index])
  if held then
    return held.list, held
  end
  if spot.score[base] then
    return base
  end
  local other = in_due(spot)
  if letter == '' and not other and #spot.deliveries == 0 and #spot.sets > 0 then
    local source = latest(spot)
    local status = (source - FIRST_SET) % 6
    local home, ended = base + status, spot.score[source]
    to_state[#to_state + 1] = ids[index]
    to_state[#to_state + 1] = LETTERS[status] .. '0:' .. integer(ended) .. ':' .. no_body
    to_finished[#to_finished + 1] = {home, ended, ids[index]}
    return home, nil, 'ended'
  end
  if other then
    to_due[#to_due + 1] = {base, spot.score[other], ids[index]}
  elseif #spot.deliveries > 0 then
    give_back(index, base)
  else
    to_due[#to_due + 1] = {base, math.max(time, again_at or run_ats[index] or 0), ids[index]}
  end
  return base, nil, 'placed'
end

-- Of a job whose kind or state cannot be read only this much is certain: a list that nobody minds is no place for it.
-- Whoever claims it ends it as FAILED, or lets it wait for a release that can read it.
local function place_unreadable(index, base, has_ended)
  local spot, abandoned = spots[index], false
  for _, delivery in ipairs(spot.deliveries) do
    abandoned = abandoned or not lives[delivery.list]
  end
  local held = lock(spot)
  local home = held and held.list or spot.sets[1]
  if home or has_ended or not abandoned then
    return home
  end
  give_back(index, base or FIRST_SET)
  return base or FIRST_SET, nil, 'placed'
end

local out_of = {} -- by key: the ids that are taken out of it

local function take(index, key, taken)
  taken[#taken + 1] = key
  out_of[key] = out_of[key] or {}
  table.insert(out_of[key], ids[index])
end

local function take_deliveries(index, kept, only_abandoned, taken)
  for _, delivery in ipairs(spots[index].deliveries) do
    local list = delivery.list
    if delivery ~= kept and not (only_abandoned and lives[list]) then
      dropped[list] = dropped[list] or {}
      dropped[list][delivery.place] = true
      taken[#taken + 1] = list
    end
  end
end

local function repaired(index)
  local base, spot, taken = bases[index], spots[index], {}
  local letter, ended, _ = '', nil, nil
  if states[index] then
    letter, _, ended = parse_state(states[index])
  end
  local home, kept, verb
  local has_ended = letter and FINISHED[letter] ~= nil
  local readable = base and (has_ended or letter == '' or letter == 'P')
  if not records[index] then
    verb = 'gone'
    if states[index] then
      take(index, AT_STATE, taken)
    end
  elseif not readable then
    home, kept, verb = place_unreadable(index, base, has_ended)
  elseif has_ended then
    home = base + FINISHED[letter]
    if not spot.score[home] then
      verb = 'placed'
      to_finished[#to_finished + 1] = {home, ended, ids[index]}
    end
  else
    home, kept, verb = place_pending(index, base, letter, letter == 'P' and ended or nil)
  end
  local lost = redis.call('HGET', LOSSES, ids[index])
  if lost and (verb == 'gone' or verb == 'ended' or has_ended or not string.match(lost, '^0*[1-9]%d*$')) then
    take(index, AT_LOSSES, taken)
  end
  if verb == 'gone' or readable then
    for _, key in ipairs(spot.sets) do
      if key ~= home then
        take(index, key, taken)
      end
    end
  end
  take_deliveries(index, kept, records[index] and not readable, taken)
  if #taken == 0 and verb ~= 'placed' and verb ~= 'ended' then
    return {'fits', home or 0}
  end
  return {verb or 'stays', home or 0, unpack(taken)}
end

local reply = {'ok', junk}
for index = 1, read do
  reply[#reply + 1] = repaired(index)
end
if ARGV[1] ~= 'mend' then
  return reply
end

allow_writes(WORKERS)
for key, members in pairs(out_of) do
  in_batches(key < FIRST_SET and 'HDEL' or 'ZREM', KEYS[key], members)
end
for list, places in pairs(dropped) do
  local rest = {}
  for place, entry in ipairs(entries[list]) do
    if not places[place] then
      rest[#rest + 1] = entry
    end
  end
  redis.call('DEL', KEYS[list])
  in_batches('RPUSH', KEYS[list], rest)
end
in_batches('HSET', STATE, to_state)
for _, one in ipairs(to_finished) do
  redis.call('ZADD', KEYS[one[1]], integer(one[2]), one[3])
  redis.call('SADD', KINDS, kind_at[one[1] - (one[1] - FIRST_SET) % 6])
end
for _, one in ipairs(to_due) do
  local base, score = one[1], one[2]
  redis.call('ZADD', KEYS[base], score_text(score), one[3])
  redis.call('SADD', KINDS, kind_at[base])
  if score <= time then
    ring(KEYS[base + BELL], 1)
  else
    ring_if_first(KEYS[base], KEYS[base + BELL], score)
  end
end
for base, members in pairs(to_heads) do
  local in_order = {}
  for index = #members, 1, -1 do
    in_order[#in_order + 1] = members[index]
  end
  to_head(KEYS[base], KEYS[base + BELL], in_order, time)
  redis.call('SADD', KINDS, kind_at[base])
end
for key in pairs(out_of) do
  if key >= FIRST_SET and (key - FIRST_SET) % 6 == DUE then
    silence_if_empty(KEYS[key], KEYS[key + BELL])
  end
end
return reply
