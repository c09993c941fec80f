-- remove(jobs, state, ids): takes their records away.
local function remove(jobs, state, ids)
  in_batches('HDEL', jobs, ids)
  if redis.call('EXISTS', state) == 1 then
    in_batches('HDEL', state, ids)
  end
end

-- drop(jobs, state, finished, ids) -> how many. Removes finished records whole; these are the first of the set.
local function drop(jobs, state, finished, ids)
  if #ids > 0 then
    redis.call('ZREMRANGEBYRANK', finished, 0, #ids - 1)
    remove(jobs, state, ids)
  end
  return #ids
end

-- shed(jobs, state, finished, keep, time, most) -> how many finished records past their time, or over their limit, it dropped
local function shed(jobs, state, finished, keep, time, most)
  local cutoff = integer(time - keep[1])
  local dropped = drop(jobs, state, finished,
    redis.call('ZRANGEBYSCORE', finished, '-inf', cutoff, 'LIMIT', 0, most))
  local over = math.min(redis.call('ZCARD', finished) - keep[2], most - dropped)
  if over > 0 then
    dropped = dropped + drop(jobs, state, finished, redis.call('ZRANGE', finished, 0, over - 1))
  end
  return dropped
end

-- finish(jobs, state, finished, keep, time, ids, states): ends jobs of one kind with one status; `states` are theirs, and not
-- looked at if they are not kept. Kept records go to `state` and `finished`; those that nobody keeps are removed whole. Sheds up to twice what it adds.
local function finish(jobs, state, finished, keep, time, ids, states)
  if not is_kept(keep) then
    remove(jobs, state, ids)
    return
  end
  local progress, scores, ended = {}, {}, integer(time)
  for index, id in ipairs(ids) do
    progress[2 * index - 1], progress[2 * index] = id, states[index]
    scores[2 * index - 1], scores[2 * index] = ended, id
  end
  in_batches('HSET', state, progress)
  in_batches('ZADD', finished, scores)
  shed(jobs, state, finished, keep, time, 2 * #ids)
end
