-- now() -> the server's time, in microseconds. The seam by which tests move time.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
