-- Prolongs the lease, or ends its term at once so that another may take it. KEYS: leader, leader:alive. ARGV: lease, ms (0 ends it).
local fault = refused({ 'string' })
if fault then
  return fault
end
if tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
else
  redis.call('DEL', KEYS[2])
end
return 'OK'
