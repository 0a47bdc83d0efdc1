-- Takes, prolongs or lets go the right to a vendor's line. The server's clock has no say, nor how long it was away: it is
-- for who waits to see that a holder's beat stands still.
--
-- KEYS: line. ARGV: owner, its beat ('' lets go), and the answer that showed a holder that has ended, or ''.
-- Returns '' if done, otherwise who holds it and, after a line feed, its beat.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[3] and string.match(held, '^(.*)\n') ~= ARGV[1] then
  return held
end
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[1], ARGV[1] .. '\n' .. ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
return ''
