-- Takes the lease, whoever holds it. KEYS: leader. ARGV: owner. Returns the new epoch.
local held = redis.call('GET', KEYS[1])
local epoch = (held and tonumber(string.match(held, '^(%d+):')) or 0) + 1
redis.call('SET', KEYS[1], string.format('%.0f', epoch) .. ':' .. ARGV[1])
return epoch
