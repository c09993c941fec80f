-- Tells for each id what is stored of it and where it stands, at one moment.
--
-- KEYS  1 jobs, 2 state, 3 losses, 4 meta, 5 workers; for each kind: due, finished done, failed, panic, cancelled;
--       then the processing lists
-- ARGV  1 how many kinds, 2 'own' to look in the sets of a job's own kind alone, 'all' to look in all sets and lists,
--       3 how many lists; the kinds; the workers of the lists; the ids
-- Reply {'ok', for each id that was read {kind of its record ('' if it names none; nil: no record), letter of its state
--       ('' if it has none, '?' if that cannot be read), 1 if its time is over, 1 if it has losses, then the places in KEYS
--       of the sets and lists that have it, of a list once for each delivery}};
--       {'kind', names...}: repeat with the sets of these kinds; {'worker', names...}: repeat with the lists of all these
-- Cost  'own': O(ids); 'all': O(ids · kinds + workers + held); 1,000 ids at most. Reads at most about twice BYTES of
--       records and states
-- include: limits now record read_records retention

local JOBS, STATE, LOSSES, META, WORKERS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local kind_count, everywhere, list_count = tonumber(ARGV[1]), ARGV[2] == 'all', tonumber(ARGV[3])
local first_list = 6 + 5 * kind_count

local at = 4
local first_set_of, list_of = {}, {}
for index = 1, kind_count do
  first_set_of[ARGV[at]] = 6 + 5 * (index - 1)
  at = at + 1
end
for index = 1, list_count do
  list_of[ARGV[at]] = first_list + index - 1
  at = at + 1
end
local ids = {}
for index = at, #ARGV do
  ids[#ids + 1] = ARGV[index]
end

local records, states, read
records, read = read_records(JOBS, ids, #ids)
states, read = read_records(STATE, ids, read)

-- What is known of each id, by its position; the positions of the ids of each kind.
local facts, of_kind, all, missing = {}, {}, {}, {'kind'}
for index = 1, read do
  local kind = records[index] and (kind_of(records[index]) or '')
  facts[index] = {kind}
  all[index] = index
  if first_set_of[kind] then
    of_kind[kind] = of_kind[kind] or {}
    table.insert(of_kind[kind], index)
  elseif kind and kind ~= '' then
    missing[#missing + 1] = kind
  end
end
if #missing > 1 then
  return missing
end
local registered = everywhere and redis.call('ZRANGE', WORKERS, 0, -1) or {}
for _, worker in ipairs(registered) do
  if not list_of[worker] then
    table.insert(registered, 1, 'worker')
    return registered
  end
end

local time, keeps = now(), retention(META)
local lost = redis.call('HMGET', LOSSES, unpack(ids, 1, read))
for index = 1, read do
  local letter, past, ended, _ = '', 0, nil, nil
  if states[index] then
    letter, _, ended = parse_state(states[index])
    past = letter and is_past(keeps, letter, ended, time) and 1 or 0
  end
  local fact = facts[index]
  fact[2], fact[3], fact[4] = letter or '?', past, lost[index] and 1 or 0
end

-- look_in(first, last, positions): notes which of the sets from KEYS[first] on have the ids at these positions
local function look_in(first, last, positions)
  local members = {}
  for place, index in ipairs(positions) do
    members[place] = ids[index]
  end
  for key = first, last do
    for place, score in ipairs(redis.call('ZMSCORE', KEYS[key], unpack(members))) do
      if score then
        table.insert(facts[positions[place]], key)
      end
    end
  end
end

if everywhere then
  look_in(6, first_list - 1, all)
  local position = {}
  for index = 1, read do
    position[ids[index]] = index
  end
  for list = first_list, first_list + list_count - 1 do
    for _, delivery in ipairs(redis.call('LRANGE', KEYS[list], 0, -1)) do
      local index = position[string.match(delivery, '^%d+:(.*)$') or false]
      if index then
        table.insert(facts[index], list)
      end
    end
  end
else
  for kind, positions in pairs(of_kind) do
    look_in(first_set_of[kind], first_set_of[kind] + 4, positions)
  end
end

table.insert(facts, 1, 'ok')
return facts
