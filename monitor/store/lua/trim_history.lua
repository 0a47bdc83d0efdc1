-- Forgets what happened before a time, under the lease: a bounded number of entries of each kind, so that the server never stands still for
-- it. Streams lose whole blocks only, so the newest of what is too old may stay a while. As in commit.lua, whatever can fail comes first.
--
-- KEYS: leader, notified, notified:order, then the streams. ARGV: lease, the time (UTC ms), how many entries of each at most.
-- Returns how many entries are gone.

local LEADER, NOTIFIED, ORDER = KEYS[1], KEYS[2], KEYS[3]
local LEASE, BEFORE, MOST = ARGV[1], ARGV[2], ARGV[3]

local function mistyped(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and must be a ' .. kind)
  end
end

local fault = mistyped(LEADER, 'string') or mistyped(NOTIFIED, 'hash') or mistyped(ORDER, 'zset')
for number = 4, #KEYS do
  fault = fault or mistyped(KEYS[number], 'stream')
end
if fault then
  return fault
end

local held = redis.call('GET', LEADER)
if held ~= LEASE then
  return redis.error_reply('LEASELOST the lease is ' .. (held or 'gone') .. ', not ' .. LEASE)
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
