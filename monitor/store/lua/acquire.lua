-- Takes the lease. KEYS: leader, leader:alive. ARGV: owner, ms it lasts unless renewed, 'force' or ''.
-- Returns {new epoch, ''}; or {0, holder} where somebody else's lease lasts and force was not asked for.
local held = redis.call('GET', KEYS[1])
local alive = redis.call('GET', KEYS[2])
if alive and ARGV[3] ~= 'force' and string.match(alive, '^%d+:(.*)$') ~= ARGV[1] then
  return { 0, alive }
end
local epoch = (held and tonumber(string.match(held, '^(%d+):')) or 0) + 1
local lease = string.format('%.0f', epoch) .. ':' .. ARGV[1]
-- The lease outlives its term: only a new one, with a higher epoch, ends the right to write.
redis.call('SET', KEYS[1], lease)
redis.call('SET', KEYS[2], lease, 'PX', ARGV[2])
return { epoch, '' }
