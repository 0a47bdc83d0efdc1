-- Prolongs the lease, or ends its term at once so that another may take it. KEYS: leader, leader:alive. ARGV: lease, ms (0 ends it).
local fault = refused({ 'string' })
if fault then
  return fault
end
if tonumber(ARGV[2]) > 0 then
  -- PEXPIRE needs no memory: at its limit a server still lets who leads deliver what is in the outbox.
  if redis.call('GET', KEYS[2]) == ARGV[1] then
    redis.call('PEXPIRE', KEYS[2], ARGV[2])
  else
    redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
  end
else
  redis.call('DEL', KEYS[2])
end
return 'OK'
