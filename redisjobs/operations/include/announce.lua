-- announce(waited, entries, what): tells those who wait for these jobs what became of them: the letter of their state, or
-- '-' for one that was deleted. `entries` lists {id, …}. While nobody waits for any job it costs one look.
local function announce(waited, entries, what)
  if redis.call('EXISTS', waited) == 0 then
    return
  end
  for _, entry in ipairs(entries) do
    if redis.call('ZREM', waited, entry[1]) == 1 then
      redis.call('PUBLISH', waited .. ':' .. entry[1], what)
    end
  end
end
