-- A notification is done with: out of the outbox, its outcome noted, and into the dead letters where it was given up.
-- Repeating it changes nothing.
--
-- KEYS: leader, outbox, notified, notified:order, dead.
-- ARGV: lease, group, outbox id, its age (the ms of its id), idempotency key, outcome, outcomes to keep, dead letters to keep,
--   then the fields of the dead letter, or nothing where it was delivered.

local OUTBOX, NOTIFIED, ORDER, DEAD = KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local fault = refused({ 'stream', 'hash', 'zset', 'stream' })
if fault then
  return fault
end

-- XDEL needs no memory, so a server at its limit lets the whole step pass.
local removed = redis.call('XDEL', OUTBOX, ARGV[3])
redis.call('XACK', OUTBOX, ARGV[2], ARGV[3])
redis.call('HSET', NOTIFIED, ARGV[5], ARGV[6])
redis.call('ZADD', ORDER, ARGV[4], ARGV[5])
local over = redis.call('ZCARD', ORDER) - tonumber(ARGV[7])
if over > 0 then
  local oldest = redis.call('ZPOPMIN', ORDER, over)
  for member = 1, #oldest, 2 do
    redis.call('HDEL', NOTIFIED, oldest[member])
  end
end
if #ARGV > 8 and removed == 1 then
  redis.call('XADD', DEAD, 'MAXLEN', '~', ARGV[8], '*', unpack(ARGV, 9))
end
return 'OK'
