-- Gives deliveries back that a worker holds and did not run: to the head of their due sets, in their order, without a loss.
--
-- KEYS  1 jobs, 2 processing:<worker>; then for each kind: due, bell
-- ARGV  1 how many deliveries; the deliveries, the last handed out first; the names of the kinds
-- Reply {'ok', how many of the first deliveries were dealt with}: call again with the rest;
--       {'kind', names...}: nothing was written, repeat with the keys of these kinds
-- Cost  O(deliveries · log waiting), O(held) where they do not head the list; reads at most about BYTES of records
-- include: limits now text record bell batch take_out read_records group_by_kind to_head

local JOBS, PROCESSING = KEYS[1], KEYS[2]
local count = tonumber(ARGV[1])
local ids = {}
for index = 1, count do
  ids[index] = string.match(ARGV[1 + index], '^%d+:(.*)$')
end
local groups, read, unknown = group_by_kind(JOBS, ids, named(2 + count))
if #unknown > 0 then
  return unnamed(unknown)
end

local wanted = {}
for index = 1, read do
  wanted[ARGV[1 + index]] = true
end
take_out(PROCESSING, wanted, read)

local time = now()
for kind, members in pairs(groups) do
  local held = {}
  for place = #members, 1, -1 do
    local index = members[place]
    if wanted[ARGV[1 + index]] == 'held' then
      held[#held + 1] = ids[index]
    end
  end
  if #held > 0 then
    to_head(KEYS[1 + 2 * kind], KEYS[2 + 2 * kind], held, time)
  end
end
return {'ok', read}
