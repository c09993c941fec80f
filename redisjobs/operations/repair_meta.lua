-- Mends the numbers of `meta`: settings that are no numbers are forgotten, and a token counter that is none, or below a
-- token that was given, goes on from the server's time in microseconds, which is beyond all tokens that it ever gave.
--
-- KEYS  1 meta, 2 workers
-- ARGV  1 'mend', or 'tell' to write nothing, 2 the greatest token that was seen; then the names of the settings
-- Reply {what the token counter is set to, or -1; the settings that are forgotten...}
-- Cost  O(settings)
-- include: now text allow_writes

local META, WORKERS = KEYS[1], KEYS[2]
local reply = {-1}
for index = 3, #ARGV do
  local value = redis.call('HGET', META, ARGV[index])
  if value and not string.match(value, '^%d+$') then
    reply[#reply + 1] = ARGV[index]
  end
end
local token = redis.call('HGET', META, 'token') or '0'
if not string.match(token, '^%d+$') or tonumber(token) < tonumber(ARGV[2]) then
  reply[1] = integer(math.max(now(), tonumber(ARGV[2])))
end

if ARGV[1] == 'mend' then
  allow_writes(WORKERS)
  if #reply > 1 then
    redis.call('HDEL', META, unpack(reply, 2))
  end
  if reply[1] ~= -1 then
    redis.call('HSET', META, 'token', reply[1])
  end
end
return reply
