-- Has keys expire that should and do not.
--
-- KEYS  the keys
-- ARGV  1 'mend', or 'tell' to write nothing; for each key in how long (ms)
-- Reply for each key 1 if it never expired, else 0
-- Cost  O(keys)
local reply = {}
for index, key in ipairs(KEYS) do
  local lasts = redis.call('PTTL', key) == -1
  reply[index] = lasts and 1 or 0
  if lasts and ARGV[1] == 'mend' then
    redis.call('PEXPIRE', key, ARGV[1 + index])
  end
end
return reply
