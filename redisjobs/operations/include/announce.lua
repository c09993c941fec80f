-- announce(waited, ids, what): tells those who wait for these jobs what became of them: the letter of their state, or '-' for
-- one that was deleted. While nobody waits for any job it costs one look.
local function announce(waited, ids, what)
  if redis.call('EXISTS', waited) == 0 then
    return
  end
  for _, id in ipairs(ids) do
    if redis.call('ZREM', waited, id) == 1 then
      redis.call('PUBLISH', waited .. ':' .. id, what)
    end
  end
end
