-- group_by_kind(jobs, ids, kinds) -> groups {kind place -> positions in ids}, how many ids were read, names of kinds
-- that were not given. `kinds` maps a name to its place. A record that has no kind is of the kind ''; ids without a record
-- belong to no group.
local function group_by_kind(jobs, ids, kinds)
  local records, read = read_records(jobs, ids, #ids)
  local groups, unknown = {}, {}
  for index = 1, read do
    if records[index] then
      local name = kind_of(records[index]) or ''
      local kind = kinds[name]
      if kind then
        groups[kind] = groups[kind] or {}
        table.insert(groups[kind], index)
      else
        unknown[#unknown + 1] = name
      end
    end
  end
  return groups, read, unknown
end

-- named(first) -> {name in ARGV, from that place on -> its place among the names}
local function named(first)
  local kinds = {}
  for index = first, #ARGV do
    kinds[ARGV[index]] = index - first + 1
  end
  return kinds
end

-- unnamed(names) -> the reply that asks for the keys of kinds that were not given
local function unnamed(names)
  table.insert(names, 1, 'kind')
  return names
end
