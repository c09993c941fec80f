-- Records outcomes of deliveries that a worker holds. A delivery that is not in its list is refused: the lock was lost.
--
-- KEYS  1 jobs, 2 state, 3 processing:<worker>, 4 losses, 5 totals, 6 meta, 7 waited;
--       then for each group: the finished set of its status and kind, or due and bell where its jobs wait again
-- ARGV  1 how many groups, 2 how many outcomes; for each group: letter, kind, place of its first key, how many outcomes,
--       and for each outcome: delivery, attempts, delay in µs (0 where it ended), body of the state
-- Reply the places (from 1, in the order of ARGV) of the outcomes that were refused
-- Cost  O(outcomes), and O(held) where they do not head the list
-- include: limits now text record retention bell batch take_out finish announce

local JOBS, STATE, PROCESSING, LOSSES, TOTALS, META, WAITED =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local group_count, outcome_count = tonumber(ARGV[1]), tonumber(ARGV[2])
local OUTCOME_OF = {D = 'done', F = 'failed', X = 'panic', C = 'cancelled', P = 'retried'}

local wanted, groups, at = {}, {}, 3
for index = 1, group_count do
  local group = {letter = ARGV[at], kind = ARGV[at + 1], key = tonumber(ARGV[at + 2]), count = tonumber(ARGV[at + 3]), first = at + 4}
  for outcome = group.first, group.first + 4 * (group.count - 1), 4 do
    wanted[ARGV[outcome]] = true
  end
  groups[index] = group
  at = at + 4 + 4 * group.count
end

take_out(PROCESSING, wanted, outcome_count)

local time, refused, place = now(), {}, 0
local ended_ids, keeps = {}, nil

local function end_jobs(group, accepted)
  keeps = keeps or retention(META)
  local entries, ended = {}, integer(time)
  for index, outcome in ipairs(accepted) do
    local id = outcome.id
    entries[index] = {id, group.letter .. ARGV[outcome.at + 1] .. ':' .. ended .. ':' .. ARGV[outcome.at + 3]}
    ended_ids[#ended_ids + 1] = id
  end
  finish(JOBS, STATE, KEYS[group.key], keeps[group.letter], time, entries)
  announce(WAITED, entries, group.letter)
end

local function wait_again(group, accepted)
  local due, bell = KEYS[group.key], KEYS[group.key + 1]
  for _, outcome in ipairs(accepted) do
    local score = time + tonumber(ARGV[outcome.at + 2])
    redis.call('HSET', STATE, outcome.id, 'P' .. ARGV[outcome.at + 1] .. ':' .. integer(score) .. ':' .. ARGV[outcome.at + 3])
    redis.call('ZADD', due, score_text(score), outcome.id)
    ring_if_first(due, bell, score)
  end
end

for _, group in ipairs(groups) do
  local accepted = {}
  for outcome = group.first, group.first + 4 * (group.count - 1), 4 do
    place = place + 1
    local delivery = ARGV[outcome]
    if wanted[delivery] == 'held' then
      wanted[delivery] = 'settled'
      accepted[#accepted + 1] = {id = string.match(delivery, '^%d+:(.*)$'), at = outcome}
    else
      refused[#refused + 1] = place
    end
  end
  if #accepted > 0 then
    redis.call('HINCRBY', TOTALS, OUTCOME_OF[group.letter] .. ':' .. group.kind, #accepted)
    if group.letter == 'P' then
      wait_again(group, accepted)
    else
      end_jobs(group, accepted)
    end
  end
end
if #ended_ids > 0 and redis.call('EXISTS', LOSSES) == 1 then
  in_batches('HDEL', LOSSES, ended_ids)
end
return refused
