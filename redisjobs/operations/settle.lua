-- Records outcomes of deliveries that a worker holds. A delivery that is not in its list is refused: the lock was lost.
--
-- KEYS  1 jobs, 2 state, 3 processing:<worker>, 4 losses, 5 totals, 6 meta, 7 waited;
--       then for each group: the finished set of its status and kind, or due and bell where its jobs wait again
-- ARGV  1 how many groups, 2 how many outcomes; for each group: letter, kind, place of its first key, how many outcomes,
--       how many words each has, attempts ('' if each has its own); and for each outcome, of as many words as that:
--       1 delivery (no body), 2 delivery, body of the state, 4 delivery, attempts, delay in µs (0 where it ended), body
-- Reply the places (from 1, in the order of ARGV) of the outcomes that were refused
-- Cost  O(outcomes), and O(held) where they do not head the list
-- include: limits now text record retention bell batch take_head take_out finish announce

local JOBS, STATE, PROCESSING, LOSSES, TOTALS, META, WAITED =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local group_count, outcome_count = tonumber(ARGV[1]), tonumber(ARGV[2])
local MANY = 8
local OUTCOME_OF = {D = 'done', F = 'failed', X = 'panic', C = 'cancelled', P = 'retried'}

local groups, places_of, at = {}, {}, 3 -- and for each group where the first words of its outcomes are
for index = 1, group_count do
  local group = {letter = ARGV[at], kind = ARGV[at + 1], key = tonumber(ARGV[at + 2]), count = tonumber(ARGV[at + 3]),
    width = tonumber(ARGV[at + 4]), attempts = ARGV[at + 5]}
  groups[index], places_of[index] = group, {}
  at = at + 6
  for outcome = 1, group.count do
    places_of[index][outcome] = at
    at = at + group.width
  end
end

local time, refused, dropped, place = now(), {}, {}, 0
local keeps = nil
local has_losses = redis.call('EXISTS', LOSSES) == 1

-- states_of(group, places): of outcomes whose first words stand there.
local function states_of(group, places)
  local states, behind = {}, ':' .. integer(time) .. ':'
  local plain = group.letter .. group.attempts .. behind
  for index, at in ipairs(places) do
    if group.width == 1 then
      states[index] = plain
    elseif group.width == 2 then
      states[index] = plain .. ARGV[at + 1]
    else
      states[index] = group.letter .. ARGV[at + 1] .. behind .. ARGV[at + 3]
    end
  end
  return states
end

local function end_jobs(group, ids, places)
  keeps = keeps or retention(META)
  local keep = keeps[group.letter]
  if is_kept(keep) then
    finish(JOBS, STATE, KEYS[group.key], keep, time, ids, states_of(group, places))
  elseif #dropped == 0 then
    dropped = ids
  else
    for _, id in ipairs(ids) do
      dropped[#dropped + 1] = id
    end
  end
  announce(WAITED, ids, group.letter)
  if has_losses then
    in_batches('HDEL', LOSSES, ids)
  end
end

local function wait_again(group, ids, places)
  local due, bell = KEYS[group.key], KEYS[group.key + 1]
  for index, id in ipairs(ids) do
    local at = places[index]
    local score = time + tonumber(ARGV[at + 2])
    redis.call('HSET', STATE, id, 'P' .. ARGV[at + 1] .. ':' .. integer(score) .. ':' .. ARGV[at + 3])
    redis.call('ZADD', due, score_text(score), id)
    ring_if_first(due, bell, score)
  end
end

local function settle(group, ids, places)
  redis.call('HINCRBY', TOTALS, OUTCOME_OF[group.letter] .. ':' .. group.kind, #ids)
  if group.letter == 'P' then
    wait_again(group, ids, places)
  else
    end_jobs(group, ids, places)
  end
end

-- Most calls are long, and their jobs end in about the order in which they were claimed.
local taken = outcome_count >= MANY and take_head(PROCESSING, ARGV, places_of, outcome_count)
if taken then
  for index, group in ipairs(groups) do
    if #taken[index] > 0 then
      settle(group, taken[index], places_of[index])
    end
  end
else
  local wanted = {}
  for _, places in ipairs(places_of) do
    for _, at in ipairs(places) do
      wanted[ARGV[at]] = true
    end
  end
  take_out(PROCESSING, wanted, outcome_count)
  for index, group in ipairs(groups) do
    local ids, places = {}, {}
    for _, at in ipairs(places_of[index]) do
      place = place + 1
      local delivery = ARGV[at]
      if wanted[delivery] == 'held' then
        wanted[delivery] = 'settled'
        ids[#ids + 1] = string.match(delivery, '^%d+:(.*)$')
        places[#places + 1] = at
      else
        refused[#refused + 1] = place
      end
    end
    if #ids > 0 then
      settle(group, ids, places)
    end
  end
end
if #dropped > 0 then
  remove(JOBS, STATE, dropped)
end
return refused
