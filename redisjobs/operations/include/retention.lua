-- How long finished records are kept: what workers registered in `meta`, else the defaults of the queue.
-- retention(meta_key) -> {D = {microseconds, limit}, F = ..., X = ..., L = ..., C = ...}
local function retention(meta_key)
  local set = redis.call('HMGET', meta_key, 'retention_us', 'retention_limit', 'failed_retention_us', 'failed_limit')
  local done = {tonumber(set[1] or 3600000000), tonumber(set[2] or 10000)}
  local failed = {tonumber(set[3] or 604800000000), tonumber(set[4] or 100000)}
  return {D = done, F = failed, X = failed, L = failed, C = failed}
end

-- is_kept(keep) -> whether records with this {microseconds, limit} are kept at all
local function is_kept(keep)
  return keep[1] > 0 and keep[2] > 0
end

-- is_past(keeps, letter, ended, time) -> whether a record that ended then counts as absent
local function is_past(keeps, letter, ended, time)
  local keep = keeps[letter]
  return keep ~= nil and (ended + keep[1] <= time or keep[2] <= 0)
end
