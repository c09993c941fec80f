-- read_records(jobs, ids, reach) -> records by position, how many ids were read. Reads one, then in chunks, and stops after BYTES:
-- fetching 64 records of 1 MiB to use 8 of them would hold the server. At least one is read, and at most 16 at a time, since
-- large ones may come behind small ones.
local function read_records(jobs, ids, reach)
  local records, read, bytes, size = {}, 0, 0, 1
  while read < reach and (bytes < BYTES or read == 0) do
    local last = math.min(read + size, reach)
    local chunk = redis.call('HMGET', jobs, unpack(ids, read + 1, last))
    for index, record in ipairs(chunk) do
      records[read + index] = record
      bytes = bytes + (record and #record or 0)
    end
    read = last
    -- the next chunk is what fits by the average so far
    size = math.max(1, math.min(16, math.floor((BYTES - bytes) / math.max(1, bytes / read))))
  end
  return records, read
end
