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
-- Cost  'own': O(ids); 'all': O(ids · kinds + workers + held). Reads at most about twice BYTES of records and states
-- include: limits now record read_records retention

local JOBS, STATE, LOSSES, META, WORKERS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local kind_count, everywhere, list_count = tonumber(ARGV[1]), ARGV[2] == 'all', tonumber(ARGV[3])
local first_list = 6 + 5 * kind_count

local at = 4
local first_set_of = {}
for index = 1, kind_count do
  first_set_of[ARGV[at]] = 6 + 5 * (index - 1)
  at = at + 1
end
local list_of = {}
for index = 1, list_count do
  list_of[ARGV[at]] = first_list + index - 1
  at = at + 1
end
local ids, deliveries = {}, {}
for index = at, #ARGV do
  ids[#ids + 1] = ARGV[index]
  deliveries[ARGV[index]] = {}
end

local records, read = read_records(JOBS, ids, #ids)
local states
states, read = read_records(STATE, ids, read)

local missing = {'kind'}
for index = 1, read do
  local kind = records[index] and kind_of(records[index])
  if kind and not first_set_of[kind] then
    missing[#missing + 1] = kind
  end
end
if #missing > 1 then
  return missing
end

if everywhere then
  local registered, all_given = redis.call('ZRANGE', WORKERS, 0, -1), true
  for _, worker in ipairs(registered) do
    all_given = all_given and list_of[worker] ~= nil
  end
  if not all_given then
    table.insert(registered, 1, 'worker')
    return registered
  end
  for list = first_list, first_list + list_count - 1 do
    for _, delivery in ipairs(redis.call('LRANGE', KEYS[list], 0, -1)) do
      local places = deliveries[string.match(delivery, '^%d+:(.*)$') or false]
      if places then
        places[#places + 1] = list
      end
    end
  end
end

local time, keeps = now(), retention(META)
local any_losses = redis.call('EXISTS', LOSSES) == 1

local function facts_of(id, record, state)
  local kind = record and (kind_of(record) or '')
  local letter, past, lost, ended, _ = '', 0, 0, nil, nil
  if state then
    letter, _, ended = parse_state(state)
    if letter and is_past(keeps, letter, ended, time) then
      past = 1
    end
  end
  if any_losses then
    lost = redis.call('HEXISTS', LOSSES, id)
  end
  local facts = {kind, letter or '?', past, lost}
  local first = everywhere and 6 or first_set_of[kind]
  for key = first or 1, first and (everywhere and first_list - 1 or first + 4) or 0 do
    if redis.call('ZSCORE', KEYS[key], id) then
      facts[#facts + 1] = key
    end
  end
  for _, list in ipairs(deliveries[id]) do
    facts[#facts + 1] = list
  end
  return facts
end

local reply = {'ok'}
for index = 1, read do
  reply[index + 1] = facts_of(ids[index], records[index], states[index])
end
return reply
