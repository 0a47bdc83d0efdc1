-- What people have said (a silence, an acknowledgement), under the lease. As in commit.lua, whatever can fail is found before the first
-- write. KEYS: leader, the hash. ARGV: lease, number of strings to set, those (field, data ...), then the fields to remove.
local LEADER, RECORDS = KEYS[1], KEYS[2]
local CHUNK = 4000

local function mistyped(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and must be a ' .. kind)
  end
end

local fault = mistyped(LEADER, 'string') or mistyped(RECORDS, 'hash')
if fault then
  return fault
end
local held = redis.call('GET', LEADER)
if held ~= ARGV[1] then
  return redis.error_reply('LEASELOST the lease is ' .. (held or 'gone') .. ', not ' .. ARGV[1])
end

local set = tonumber(ARGV[2])
for from = 3, 2 + set, CHUNK do
  local added = redis.pcall('HSET', RECORDS, unpack(ARGV, from, math.min(from + CHUNK - 1, 2 + set)))
  if type(added) == 'table' and added.err then
    return added
  end
end
for from = 3 + set, #ARGV, CHUNK do
  redis.call('HDEL', RECORDS, unpack(ARGV, from, math.min(from + CHUNK - 1, #ARGV)))
end
return 'OK'
