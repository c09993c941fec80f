-- Mends what belongs to kinds: their names among the kinds, bells that stayed behind, totals below what is kept. Rings
-- where due jobs wait and no bell has a token; that is no repair, since a worker may just have taken it.
--
-- KEYS  1 kinds, 2 totals, 3 workers; then for each kind: due, bell, finished done, failed, panic, cancelled
-- ARGV  1 'mend', or 'tell' to write nothing; for each kind: its name, '1' if a record of it was seen
-- Reply for each kind {1 if it is entered among the kinds, 1 if its bell is removed, then for each outcome the total that
--       it is set to, or -1}
-- Cost  O(1) for each kind
-- include: limits now text bell allow_writes

local KINDS, TOTALS, WORKERS = KEYS[1], KEYS[2], KEYS[3]
local mends, time = ARGV[1] == 'mend', now()
local OUTCOMES = {'done', 'failed', 'panic', 'cancelled', 'retried'}
local FINISHED_SETS = 4

local plans = {}
for index = 2, #ARGV, 2 do
  local kind, seen = ARGV[index], ARGV[index + 1] == '1'
  local first = 4 + 6 * (index / 2 - 1)
  local due, bell = KEYS[first], KEYS[first + 1]
  local waits, totals = redis.call('EXISTS', due) == 1, {}
  local in_use = seen or waits
  for place, outcome in ipairs(OUTCOMES) do
    local kept = place <= FINISHED_SETS and redis.call('ZCARD', KEYS[first + 1 + place]) or 0
    local total = redis.call('HGET', TOTALS, outcome .. ':' .. kind) or '0'
    in_use = in_use or kept > 0
    local sound = string.match(total, '^%d+$') and kept <= tonumber(total)
    totals[place] = sound and -1 or kept
  end
  plans[#plans + 1] = {
    kind = kind, totals = totals, due = due, bell = bell, waits = waits,
    enters = in_use and redis.call('SISMEMBER', KINDS, kind) == 0,
    silences = not waits and redis.call('EXISTS', bell) == 1,
  }
end

if mends then
  allow_writes(WORKERS)
end
local reply = {}
for index, plan in ipairs(plans) do
  reply[index] = {plan.enters and 1 or 0, plan.silences and 1 or 0, unpack(plan.totals)}
  if mends then
    if plan.enters then
      redis.call('SADD', KINDS, plan.kind)
    end
    if plan.silences then
      redis.call('DEL', plan.bell)
    elseif plan.waits and redis.call('ZCOUNT', plan.due, '-inf', score_text(time)) > 0 then
      ring(plan.bell, math.max(0, 1 - redis.call('LLEN', plan.bell)))
    end
    for place, total in ipairs(plan.totals) do
      if total >= 0 then
        redis.call('HSET', TOTALS, OUTCOMES[place] .. ':' .. plan.kind, integer(total))
      end
    end
  end
end
return reply
