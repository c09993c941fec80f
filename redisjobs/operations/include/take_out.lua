-- take_out(list, wanted, count) -> how many were there. Removes deliveries from a processing list. `wanted` maps
-- each delivery to true and `count` says how many; on return those that were there map to 'held'. Its first write frees.
-- O(count) where they head the list, as they do for jobs that end in order; else O(list) once, or per delivery if few.
local function take_out(list, wanted, count)
  local found = 0
  local head = redis.call('LRANGE', list, 0, count - 1)
  while found < #head and wanted[head[found + 1]] == true do
    found = found + 1
    wanted[head[found]] = 'held'
  end
  redis.call('LTRIM', list, found, -1)
  local missing = count - found
  if missing == 0 then
    return found
  end
  if missing * 4 > redis.call('LLEN', list) then
    local rest = {}
    for _, delivery in ipairs(redis.call('LRANGE', list, 0, -1)) do
      if wanted[delivery] == true then
        wanted[delivery] = 'held'
        found = found + 1
      else
        rest[#rest + 1] = delivery
      end
    end
    redis.call('DEL', list)
    in_batches('RPUSH', list, rest)
    return found
  end
  for delivery, state in pairs(wanted) do
    if state == true and redis.call('LREM', list, 1, delivery) == 1 then
      wanted[delivery] = 'held'
      found = found + 1
    end
  end
  return found
end
