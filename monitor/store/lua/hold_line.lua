-- Takes, prolongs or lets go the right to a vendor's line. KEYS: line. ARGV: owner, ms it lasts unless prolonged (0 lets
-- go), and a holder that is known to have ended, or ''. Returns '' if done, otherwise who holds it.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and holder ~= ARGV[3] then
  return holder
end
if tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
return ''
