-- Counts the deliveries in a part of one processing list by the kinds of their jobs.
--
-- KEYS  1 jobs, 2 processing:<worker>
-- ARGV  1 place of the first delivery, from 0, 2 how many at most
-- Reply {how many were read, how many come after them, then each kind and how many}; jobs without a record do not count
-- Cost  O(deliveries), O(held) to reach those in the middle; reads at most about BYTES of records
-- include: limits record read_records

local JOBS, PROCESSING = KEYS[1], KEYS[2]
local first, most = tonumber(ARGV[1]), tonumber(ARGV[2])

local ids = {}
for index, delivery in ipairs(redis.call('LRANGE', PROCESSING, first, first + most - 1)) do
  ids[index] = string.match(delivery, '^%d+:(.*)$') or ''
end
local records, read = {}, 0
if #ids > 0 then
  records, read = read_records(JOBS, ids, #ids)
end
local counts = {}
for index = 1, read do
  local kind = records[index] and kind_of(records[index])
  if kind then
    counts[kind] = (counts[kind] or 0) + 1
  end
end
local reply = {read, math.max(0, redis.call('LLEN', PROCESSING) - first - read)}
for kind, count in pairs(counts) do
  reply[#reply + 1] = kind
  reply[#reply + 1] = count
end
return reply
