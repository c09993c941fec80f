-- to_head(due, bell, ids, time): puts ids, in their order, before all that waits: they waited their turn already.
local function to_head(due, bell, ids, time)
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  local base = math.min(time, tonumber(first[2] or time))
  local values = {}
  for place, id in ipairs(ids) do
    values[#values + 1] = score_text(base - (#ids - place + 1) * 0.25)
    values[#values + 1] = id
  end
  in_batches('ZADD', due, values)
  ring(bell, #ids)
end
