-- Takes jobs that are due into a worker's processing list.
--
-- KEYS  1 jobs, 2 state, 3 workers, 4 processing:<worker>, 5 losses, 6 meta, 7 last-chance;
--       then for each kind: due, bell, timekeeper
-- ARGV  1 worker, 2 limit, 3 free slots (at most the limit), 4 how many kinds, 5 max_losses,
--       6 how many more jobs one loss short of their last chance it may run, 7 how many it passed last time,
--       8 how long a timekeeper's word holds (ms; 0: it minds no time), 9 the id that it is emptying itself for ('' if none),
--       10 the place of that id's kind (0 if none); for each kind: how many it may take beyond the free slots;
--       then ids that its process cannot run again yet
-- Reply {'unregistered'}, or {'ok', token, next due in µs (-1: nothing that this worker should mind), 1 if finished
--       records of status DONE are kept, flags, passed, place of the kind it empties itself for, that id,
--       places of the kinds of which due jobs are left that it could take}, ids, records, runs, states, losses
--       runs: place of a kind, how many of the jobs are of it, and so on in their order
--       states and losses: none, or one for each job, nil or 0 where it has none
--       flags: s a suspect found no free slot; d it empties itself for a last chance; a the one job taken runs alone
-- Cost  O(taken · log waiting) and O(1) for each kind; reads at most about BYTES of records, and 1,000 suspects
-- include: limits now text bell batch read_records retention allow_writes

local JOBS, STATE, WORKERS, PROCESSING, LOSSES, META, LAST_CHANCE =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local worker, limit, free, kind_count, max_losses, guarded_room, passed_before, timekeeper_ms, emptying, emptying_kind =
  ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]),
  tonumber(ARGV[7]), ARGV[8], ARGV[9], tonumber(ARGV[10])
local LAST_CHANCE_US = 30000000
local PASS_AT_MOST = 1000
local LEAST_SHARE = 25
local FEW = 16

local lease = redis.call('ZSCORE', WORKERS, worker)
if not lease or tonumber(lease) == 0 then
  return {{'unregistered'}}
end

local time = now()
local due, bell, timekeeper = {}, {}, {}
for kind = 1, kind_count do
  due[kind], bell[kind], timekeeper[kind] = KEYS[5 + 3 * kind], KEYS[6 + 3 * kind], KEYS[7 + 3 * kind]
end

local ghosts
if #ARGV > 10 + kind_count then
  ghosts = {}
  for index = 11 + kind_count, #ARGV do
    ghosts[ARGV[index]] = true
  end
end
local examined = ghosts ~= nil or redis.call('EXISTS', LOSSES) == 1

-- What was chosen, in the order of choice, with its losses if they were looked at; how many of which kind in a row; and for
-- each kind how many of its first jobs were looked at.
local ids, losses, runs = {}, {}, {}
local looked, passed_in, passed, ready = {}, {}, 0, {}
local stopped, alone, draining, mark = false, false, nil, nil
local closed, ahead = {}, {}
local first_score = {}

local function add_run(into, kind, count)
  local last = #into
  if into[last - 1] == kind then
    into[last] = into[last] + count
  else
    into[last + 1], into[last + 2] = kind, count
  end
end

local function choose(kind, id, loss)
  ids[#ids + 1], losses[#losses + 1] = id, loss
  add_run(runs, kind, 1)
end

local function choose_all(kind, found)
  if #ids == 0 then
    ids = found
  else
    for _, id in ipairs(found) do
      ids[#ids + 1] = id
    end
  end
  add_run(runs, kind, #found)
end

-- A suspect's last chance: it runs alone. The first worker that meets it marks it and empties itself; others pass it.
local function last_chance(kind, id, loss)
  local marked = redis.call('HGET', LAST_CHANCE, id)
  local deadline, owner = 0, nil
  if marked then
    deadline, owner = string.match(marked, '^(%d+) (.*)$')
    deadline = tonumber(deadline)
    if owner ~= worker and deadline > time and tonumber(redis.call('ZSCORE', WORKERS, owner) or 0) > 0 then
      return 'pass'
    end
  end
  local empty = #ids == 0 and redis.call('EXISTS', PROCESSING) == 0
  if free > #ids and (empty or (owner == worker and deadline <= time)) then
    choose(kind, id, loss)
    alone = true
    return 'end'
  end
  if limit > 0 then
    draining = {kind, id}
    if owner ~= worker then
      mark = {id, integer(time + LAST_CHANCE_US) .. ' ' .. worker}
    end
  end
  return 'end'
end

-- What becomes of one due job: 'take', 'pass' (others may run it), 'stop' (its kind, for this claim) or 'end' (the claim).
local function judge(kind, id, loss)
  if ghosts and ghosts[id] then
    return 'pass'
  elseif loss == 0 then
    return 'take'
  elseif loss >= max_losses then
    return last_chance(kind, id, loss)
  elseif #ids >= free then
    stopped = true
    return 'stop'
  elseif loss == max_losses - 1 then
    if guarded_room <= 0 then
      return 'pass'
    end
    guarded_room = guarded_room - 1
  end
  return 'take'
end

local function judge_all(kind, found, wanted)
  local counts = redis.call('HMGET', LOSSES, unpack(found))
  for index, id in ipairs(found) do
    if #ids >= wanted then
      return false
    end
    local verdict = judge(kind, id, tonumber(counts[index] or 0))
    if verdict == 'take' then
      choose(kind, id, tonumber(counts[index] or 0))
    elseif verdict == 'pass' then
      passed, passed_in[kind] = passed + 1, passed_in[kind] + 1
    else
      closed[kind] = true
      return verdict == 'end'
    end
    looked[kind] = looked[kind] + 1
  end
  return false
end

-- look(kind, most, slots) -> whether the claim is at its end. Chooses up to `most` jobs of a kind that are due, `slots` of them
-- for free slots.
local function look(kind, most, slots)
  local before = math.max(free, #ids)
  local wanted = #ids + math.min(most, limit - #ids, math.min(slots, before - #ids) + ahead[kind])
  local ended = false
  -- Also where many were passed already, the first of each other kind are looked at.
  while #ids < wanted and not closed[kind] and (passed <= PASS_AT_MOST or looked[kind] == 0) do
    -- Where some may be passed, one look reads a few more than it wants.
    local size = math.min(VALUES, examined and math.max(64, wanted - #ids) or wanted - #ids)
    local found = redis.call('ZRANGEBYSCORE', due[kind], '-inf', time, 'LIMIT', looked[kind], size)
    if #found > 0 and examined then
      ended = judge_all(kind, found, wanted)
      if ended then
        break
      end
    elseif #found > 0 then
      choose_all(kind, found)
      looked[kind] = looked[kind] + #found
    end
    if #found < size and #ids < wanted then
      closed[kind] = true
    end
  end
  ahead[kind] = ahead[kind] - math.max(0, #ids - before)
  return ended
end

local ended = false
if emptying_kind > 0 then
  local score = redis.call('ZSCORE', due[emptying_kind], emptying)
  local loss = tonumber(redis.call('HGET', LOSSES, emptying) or 0)
  if score and tonumber(score) <= time and loss >= max_losses then
    ended = last_chance(emptying_kind, emptying, loss) == 'end'
  end
end
local waiting = 0
for kind = 1, kind_count do
  looked[kind], passed_in[kind], ahead[kind] = 0, 0, tonumber(ARGV[10 + kind])
  local first = redis.call('ZRANGE', due[kind], 0, 0, 'WITHSCORES')
  first_score[kind] = tonumber(first[2])
  if first_score[kind] and first_score[kind] <= time then
    ready[#ready + 1] = kind
  end
end
if not ended and limit > 0 then
  -- Two rounds: a fair share for each kind that has work, then what is left over for those that have more. Where many kinds
  -- have, it is not so small that it costs more to ask than to take: the others come first at the next claims.
  local share = math.max(1, math.floor(limit / math.max(1, #ready)), math.min(LEAST_SHARE, math.floor(limit / 8)))
  local slots = math.max(1, math.floor(free / math.max(1, #ready)))
  for round = 1, 2 do
    for _, kind in ipairs(ready) do
      if not ended and #ids < limit then
        ended = look(kind, round == 1 and share or limit, round == 1 and slots or free)
      end
    end
  end
end

local records, taken = {}, 0
if #ids > 0 then
  records, taken = read_records(JOBS, ids, #ids)
end

if taken < #ids then
  alone = false -- it came last, and is left for the next claim
end
local full = limit == 0 or taken >= limit or draining ~= nil or alone or timekeeper_ms == '0'

if taken == 0 then
  allow_writes(WORKERS) -- what is taken leaves its due set first, and that frees
end
local count_of, first = {}, 1
for run = 1, #runs, 2 do
  local kind, count = runs[run], math.min(runs[run + 1], taken - first + 1)
  if count > 0 then
    count_of[kind] = (count_of[kind] or 0) + count
    -- Without passes the chosen are the first of their due set.
    if passed_in[kind] == 0 and not (alone and emptying_kind == kind) then
      redis.call('ZREMRANGEBYRANK', due[kind], 0, count - 1)
    else
      in_batches('ZREM', due[kind], ids, first, first + count - 1)
    end
    first = first + count
  end
end

local last_chance_id = alone and ids[#ids]
local whole = taken == #ids
for index = 1, taken do
  whole = whole and records[index]
end
if not whole then
  -- A waiting id without a record is no job: it has left the due set and goes nowhere.
  local all_ids, all_records, all_losses, all_runs = ids, records, losses, runs
  ids, records, losses, runs, first = {}, {}, {}, {}, 1
  for run = 1, #all_runs, 2 do
    for index = first, math.min(taken, first + all_runs[run + 1] - 1) do
      if all_records[index] then
        ids[#ids + 1], records[#records + 1], losses[#losses + 1] = all_ids[index], all_records[index], all_losses[index]
        add_run(runs, all_runs[run], 1)
      end
    end
    first = first + all_runs[run + 1]
  end
end
local token = 0
if taken > 0 then
  token = redis.call('HINCRBY', META, 'token', 1)
  local prefix, deliveries = integer(token) .. ':', {}
  for index, id in ipairs(ids) do
    deliveries[index] = prefix .. id
  end
  in_batches('RPUSH', PROCESSING, deliveries)
end
if alone then
  redis.call('HDEL', LAST_CHANCE, last_chance_id)
end
if mark then
  redis.call('HSET', LAST_CHANCE, mark[1], mark[2])
  redis.call('PEXPIRE', LAST_CHANCE, 2 * LAST_CHANCE_US / 1000)
end

-- could_take(kind): whether due jobs are left beyond those that this worker passed.
local function could_take(kind)
  if passed_in[kind] == 0 then
    return true
  end
  return redis.call('ZCOUNT', due[kind], '-inf', time) > passed_in[kind]
end

-- mind(kind, score) -> whether this worker is the one that minds the next due time of a kind.
local function mind(kind, score)
  local word = redis.call('GET', timekeeper[kind])
  local minded, keeper
  if word then
    minded, keeper = string.match(word, '^(%S+) (.*)$')
  end
  if full then
    -- It has no room: a time that it was to mind, or that nobody minds, is another's.
    if not word or keeper == worker then
      redis.call('DEL', timekeeper[kind])
      ring(bell[kind], 1)
    end
    return false
  end
  if not word or keeper == worker or tonumber(minded) > score then
    redis.call('SET', timekeeper[kind], score_text(score) .. ' ' .. worker, 'PX', timekeeper_ms)
    return true
  end
  return false
end

local next_due, left_over = -1, {}
for kind = 1, kind_count do
  local score = first_score[kind]
  if count_of[kind] then
    score = tonumber(redis.call('ZRANGE', due[kind], 0, 0, 'WITHSCORES')[2])
    if not score then
      redis.call('DEL', bell[kind], timekeeper[kind])
    end
  end
  if score and score <= time then
    if could_take(kind) then
      left_over[#left_over + 1] = kind
      ring(bell[kind], 1)
      score = nil
    else
      if passed > passed_before then
        ring(bell[kind], 1)
      end
      score = tonumber(redis.call('ZRANGEBYSCORE', due[kind], '(' .. score_text(time), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2])
    end
  end
  if score and mind(kind, score) then
    local delay = math.ceil(score - time)
    next_due = (next_due < 0) and delay or math.min(next_due, delay)
  end
end

local states = {}
if #ids > 0 and (#ids <= FEW or redis.call('EXISTS', STATE) == 1) then
  for from = 1, #ids, VALUES do
    for _, state in ipairs(redis.call('HMGET', STATE, unpack(ids, from, math.min(from + VALUES - 1, #ids)))) do
      states[#states + 1] = state
    end
  end
end
local flags = (stopped and 's' or '') .. (draining and 'd' or '') .. (alone and 'a' or '')
return {
  {'ok', token, next_due, is_kept(retention(META).D) and 1 or 0, flags, passed,
    draining and draining[1] or 0, draining and draining[2] or '', left_over},
  ids, records, runs, states, losses,
}
