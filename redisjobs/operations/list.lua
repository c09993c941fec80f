-- Tells which ids stand behind a position in some due sets, or in some finished sets, the nearest first.
--
-- KEYS  1 meta; then the sets
-- ARGV  1 how many ids of each set at most, 2 of due sets 'all', 'ready' or 'scheduled'; 3 the position's score and 4 its id
--       ('' and '': from the start); then for each set its letter: P for a due set, else that of its status
-- Reply {server time in µs (text), for each set {id, score, ...}}. Due sets are read in the order in which jobs come due,
--       finished ones from the latest end back, ids of one score by their bytes; records past their time are left out
-- Cost  O(log² of the set + ids) for each set
-- include: now text retention

local META, most, range, score, id = KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local time, keeps = now(), retention(META)

-- Lua's own comparison goes by the server's locale, Redis's by bytes.
local function comes_before(left, right)
  for place = 1, math.min(#left, #right) do
    local ours, theirs = string.byte(left, place), string.byte(right, place)
    if ours ~= theirs then
      return ours < theirs
    end
  end
  return #left < #right
end

-- standing_before(set, included) -> how many of a set stand before the position; whether the id itself counts, too.
-- The id may be gone by now: it is the position that counts.
local function standing_before(set, included)
  local low = redis.call('ZCOUNT', set, '-inf', '(' .. score)
  local high = low + redis.call('ZCOUNT', set, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = redis.call('ZRANGE', set, middle, middle)[1]
    if comes_before(member, id) or (included and member == id) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

local function ids_between(set, first, last)
  return first <= last and redis.call('ZRANGE', set, first, last, 'WITHSCORES') or {}
end

local function waiting(set)
  local first, last = 0, redis.call('ZCARD', set) - 1
  if score ~= '' then
    first = standing_before(set, true)
  end
  if range ~= 'all' then
    local ready = redis.call('ZCOUNT', set, '-inf', score_text(time))
    if range == 'ready' then
      last = ready - 1
    else
      first = math.max(first, ready)
    end
  end
  return ids_between(set, first, math.min(last, first + most - 1))
end

local function finished(set, keep)
  local count = redis.call('ZCARD', set)
  local first = keep[2] > 0 and redis.call('ZCOUNT', set, '-inf', integer(time - keep[1])) or count
  local last = (score ~= '' and standing_before(set, false) or count) - 1
  local found = ids_between(set, math.max(first, last - most + 1), last)
  local reversed = {}
  for place = #found - 1, 1, -2 do
    reversed[#reversed + 1] = found[place]
    reversed[#reversed + 1] = found[place + 1]
  end
  return reversed
end

local reply = {integer(time)}
for index = 2, #KEYS do
  local letter = ARGV[3 + index]
  reply[index] = letter == 'P' and waiting(KEYS[index]) or finished(KEYS[index], keeps[letter])
end
return reply
