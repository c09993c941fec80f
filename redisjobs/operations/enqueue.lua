-- Stores jobs, all or none of them, and makes each wait in the due set of its kind.
--
-- KEYS  1 jobs, 2 request:<producer>, 3 kinds, 4 state, 5 meta; then for each kind: due, bell;
--       then for each kind whose finished records may have to give way: finished done, failed, panic, cancelled
-- ARGV  1 this call's number in its producer, 2 how many kinds, 3 schema version, 4 how many kinds with finished keys;
--       for each kind: its name, how many jobs, and for each job: id, record, when
--       ('' now, '+N' microseconds from now, 'N' an instant); then the names of the kinds with finished keys
-- Reply {'ok'}; {'again'}: this call was carried out before; {'exists', ids...}: nothing was written;
--       {'kind', names...}: repeat with the finished keys of these kinds; {'schema', version}: data of a newer release
-- Cost  O(jobs), and O(log waiting) for each
-- include: limits now text record retention bell batch

local JOBS, REQUEST, KINDS, STATE, META = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local number, kind_count, schema, finished_kinds = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local version = redis.call('HGET', META, 'schema')
if version and tonumber(version) > schema then
  return {'schema', version}
end

-- A number at or below the stored one was carried out, or refused and must stay so: what arrives late changes nothing.
local answered = redis.call('GET', REQUEST)
if answered then
  local last, refused = string.match(answered, '^(%d+)\n?(.*)$')
  if tonumber(last) >= tonumber(number) then
    if refused == '' or tonumber(last) > tonumber(number) then
      return {'again'}
    end
    local reply = {'exists'}
    for id in string.gmatch(refused, '%Z+') do
      reply[#reply + 1] = id
    end
    return reply
  end
end

local groups, at = {}, 5
for kind = 1, kind_count do
  local count = tonumber(ARGV[at + 1])
  groups[kind] = {name = ARGV[at], first = at + 2, last = at + 3 * count - 1, due = KEYS[4 + 2 * kind], bell = KEYS[5 + 2 * kind]}
  at = at + 2 + 3 * count
end

local FINISHED_STATUS = {D = 0, F = 1, X = 2, L = 2, C = 3}
local finished_base = {}
for index = 1, finished_kinds do
  finished_base[ARGV[at]] = 5 + 2 * kind_count + 4 * (index - 1) + 1
  at = at + 1
end

local time = now()
local keeps
local refused, own, expired, unknown_kinds = {}, false, {}, {}

-- What stands in the way of a job: a record of its id, unless that one's time is over.
local function examine(id, record, existing)
  if existing == record then
    own = true -- the mark in the record says that this very call wrote it
    return
  end
  local state = redis.call('HGET', STATE, id)
  local letter, _, ended = nil, nil, nil
  if state then
    letter, _, ended = parse_state(state)
  end
  keeps = keeps or retention(META)
  local kind = kind_of(existing)
  if not (kind and letter and FINISHED_STATUS[letter] and is_past(keeps, letter, ended, time)) then
    refused[#refused + 1] = id
    return
  end
  if not finished_base[kind] then
    unknown_kinds[#unknown_kinds + 1] = kind
  else
    expired[#expired + 1] = {KEYS[finished_base[kind] + FINISHED_STATUS[letter]], id}
  end
end

local ids, records, count = {}, {}, 0
for _, group in ipairs(groups) do
  for index = group.first, group.last, 3 do
    count = count + 1
    ids[count], records[2 * count - 1], records[2 * count] = ARGV[index], ARGV[index], ARGV[index + 1]
  end
end

local conflict = false
for first = 1, #ids, 64 do
  local last = math.min(first + 63, #ids)
  -- One HMGET answers for many ids that are new; where some exist their records come along, so then one at a time.
  local existing = not conflict and redis.call('HMGET', JOBS, unpack(ids, first, last))
  for place = first, last do
    local found
    if existing then
      found = existing[place - first + 1]
    else
      found = redis.call('HGET', JOBS, ids[place])
    end
    if found then
      conflict = true
      examine(ids[place], records[2 * place], found)
    end
  end
end

if own then
  return {'again'}
end
if #refused > 0 then
  local named = {}
  for index = 1, math.min(#refused, 100) do
    named[index] = refused[index]
  end
  redis.call('SET', REQUEST, number .. '\n' .. table.concat(named, '\0'), 'EX', 60)
  table.insert(refused, 1, 'exists')
  return refused
end
if #unknown_kinds > 0 then
  table.insert(unknown_kinds, 1, 'kind')
  return unknown_kinds
end

redis.call('SET', REQUEST, number, 'EX', 60)
for _, old in ipairs(expired) do
  redis.call('ZREM', old[1], old[2])
  redis.call('HDEL', STATE, old[2])
end

-- text_of_place(run_at, place) -> run_at + place/4 as text. Four places share a whole microsecond, and to print one takes 0.7 µs,
-- a seventh of what a job costs here.
local QUARTERS = {[0] = '.00', '.25', '.50', '.75'}
local printed, text
local function text_of_place(run_at, place)
  local whole = run_at + math.floor(place / 4)
  if whole ~= printed then
    printed, text = whole, integer(whole)
  end
  return text .. QUARTERS[place % 4]
end

in_batches('HSET', JOBS, records)
local before, names = 0, {}
for _, group in ipairs(groups) do
  local scores, filled, ready, earliest = {}, 0, 0, nil
  -- The last one first: a small set is searched from its start for where a score belongs.
  local place = (group.last - group.first) / 3 + before
  before = place + 1
  for index = group.last, group.first, -3 do
    local when, run_at = ARGV[index + 2], time
    if when ~= '' then
      -- '+N' from now; a bare instant in the past counts as now
      run_at = (string.sub(when, 1, 1) == '+') and time + tonumber(string.sub(when, 2)) or math.max(time, tonumber(when))
    end
    if run_at <= time then
      ready = ready + 1
    end
    earliest = math.min(earliest or math.huge, run_at + place * 0.25)
    scores[filled + 1], scores[filled + 2] = text_of_place(run_at, place), ARGV[index]
    filled, place = filled + 2, place - 1
  end
  in_batches('ZADD', group.due, scores)
  names[#names + 1] = group.name
  if ready > 0 then
    ring(group.bell, ready)
  else
    ring_if_first(group.due, group.bell, earliest)
  end
end
in_batches('SADD', KINDS, names)
return {'ok'}
