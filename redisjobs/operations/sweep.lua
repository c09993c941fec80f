-- Drops finished records past their time or over their limit.
--
-- KEYS  1 jobs, 2 state, 3 meta; then the finished sets
-- ARGV  1 how many records at most; for each finished set: the letter of its status
-- Reply how many were dropped
-- Cost  O(dropped · log finished), and O(1) for each set
-- include: limits now text retention batch finish

local time, keeps, dropped = now(), retention(KEYS[3]), 0
for index = 4, #KEYS do
  local room = tonumber(ARGV[1]) - dropped
  if room > 0 then
    local keep = keeps[ARGV[index - 2]]
    dropped = dropped + shed(KEYS[1], KEYS[2], KEYS[index], keep, time, room)
  end
end
return dropped
