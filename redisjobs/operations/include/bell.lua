-- ring(bell, count): leaves up to `count` tokens, each of which wakes one sleeping worker.
local function ring(bell, count)
  local have = redis.call('LLEN', bell)
  for _ = have + 1, math.min(BELLS, have + count) do
    redis.call('RPUSH', bell, '1')
  end
end

-- ring_if_first(due, bell, score): rings where the job of this score is the next one to come due.
local function ring_if_first(due, bell, score)
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  if first[2] and tonumber(first[2]) >= score then
    ring(bell, 1)
  end
end

-- silence_if_empty(due, bell): a bell is gone when its due set is.
local function silence_if_empty(due, bell)
  if redis.call('EXISTS', due) == 0 then
    redis.call('DEL', bell)
  end
end
