-- Forgets what happened before a time, under the lease: a bounded number of entries of each kind, so that the server never stands still for
-- it. Streams lose whole blocks only, so the newest of what is too old may stay a while.
--
-- KEYS: leader, notified, notified:order, then the streams. ARGV: lease, the time (UTC ms), how many entries of each at most.
-- Returns how many entries are gone.

local NOTIFIED, ORDER = KEYS[2], KEYS[3]
local BEFORE, MOST = ARGV[2], ARGV[3]

local fault = refused({ 'hash', 'zset' }, 'stream')
if fault then
  return fault
end

local gone = 0
for number = 4, #KEYS do
  gone = gone + redis.call('XTRIM', KEYS[number], 'MINID', '~', BEFORE, 'LIMIT', MOST)
end
local old = redis.call('ZRANGEBYSCORE', ORDER, '-inf', '(' .. BEFORE, 'LIMIT', 0, MOST)
if #old > 0 then
  redis.call('HDEL', NOTIFIED, unpack(old))
  redis.call('ZREM', ORDER, unpack(old))
end
return gone + #old
