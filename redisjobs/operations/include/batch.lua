-- in_batches(command, key, values): one command over any number of values, at most VALUES a call.
local function in_batches(command, key, values)
  for first = 1, #values, VALUES do
    redis.call(command, key, unpack(values, first, math.min(first + VALUES - 1, #values)))
  end
end
