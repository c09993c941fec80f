-- in_batches(command, key, values, first, last): one command over any number of values (all, or those from first to last), at
-- most VALUES a call.
local function in_batches(command, key, values, first, last)
  last = last or #values
  for from = first or 1, last, VALUES do
    redis.call(command, key, unpack(values, from, math.min(from + VALUES - 1, last)))
  end
end
