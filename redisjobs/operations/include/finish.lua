-- drop(jobs, state, finished, ids) -> how many. Removes finished records whole.
local function drop(jobs, state, finished, ids)
  if #ids > 0 then
    in_batches('ZREM', finished, ids)
    in_batches('HDEL', jobs, ids)
    in_batches('HDEL', state, ids)
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

-- finish(jobs, state, finished, keep, time, entries): ends jobs of one kind with one status. `entries` lists {id, state}.
-- Kept records go to `state` and `finished`; those that nobody keeps are removed whole. Sheds up to twice what it adds.
local function finish(jobs, state, finished, keep, time, entries)
  if not is_kept(keep) then
    local ids = {}
    for index, entry in ipairs(entries) do
      ids[index] = entry[1]
    end
    in_batches('HDEL', jobs, ids)
    in_batches('HDEL', state, ids)
    return
  end
  local states, scores, ended = {}, {}, integer(time)
  for _, entry in ipairs(entries) do
    states[#states + 1] = entry[1]
    states[#states + 1] = entry[2]
    scores[#scores + 1] = ended
    scores[#scores + 1] = entry[1]
  end
  in_batches('HSET', state, states)
  in_batches('ZADD', finished, scores)
  shed(jobs, state, finished, keep, time, 2 * #entries)
end
