-- take_head(list, words, places) -> the ids of the deliveries that stand at these places of the words, in their order, which it
-- removes from a processing list; or nil, and nothing is written: they are not all at its head, but for a few that stay there.
-- Its first write frees. O(deliveries), at a third of the cost of take_out.
local function take_head(list, words, places)
  local MOST_PASSED = 16
  local head = redis.call('LRANGE', list, 0, #places + MOST_PASSED - 1)
  local ids, at, passed, passes = {}, 1, {}, 0
  local prefix, width = '', 0 -- the token of the last one: nearly always also of the next
  for index, place in ipairs(places) do
    local delivery = words[place]
    if head[at] == delivery then
      at = at + 1
    elseif passed[delivery] then
      passed[delivery] = nil -- it ended later than some behind it
    else
      repeat
        if not head[at] or passes == MOST_PASSED then
          return nil
        end
        passed[head[at]] = true
        passes = passes + 1
        at = at + 1
      until head[at] == delivery
      at = at + 1
    end
    if string.sub(delivery, 1, width) ~= prefix or width == 0 then
      width = string.find(delivery, ':', 1, true) or 0
      prefix = string.sub(delivery, 1, width)
    end
    ids[index] = string.sub(delivery, width + 1)
  end
  redis.call('LTRIM', list, at - 1, -1)
  for place = at - 1, 1, -1 do
    if passed[head[place]] then
      redis.call('LPUSH', list, head[place])
    end
  end
  return ids
end
