-- What people have said (a silence, an acknowledgement), under the lease.
-- KEYS: leader, the hash. ARGV: lease, number of strings to set, those (field, data ...), then the fields to remove.
local RECORDS = KEYS[2]

local fault = refused({ 'hash' })
if fault then
  return fault
end
local set = tonumber(ARGV[2])
for from = 3, 2 + set, CHUNK do
  local added = redis.pcall('HSET', RECORDS, unpack(ARGV, from, math.min(from + CHUNK - 1, 2 + set)))
  if type(added) == 'table' and added.err then
    return added
  end
end
each('HDEL', RECORDS, 3 + set, #ARGV)
return 'OK'
