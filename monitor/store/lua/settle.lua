-- A notification is done with: out of the outbox, its outcome noted, and into the dead letters where it was given up. As in commit.lua,
-- whatever can fail is found before the first write. Repeating it changes nothing.
--
-- KEYS: outbox, notified, notified:order, dead.
-- ARGV: group, outbox id, its age (the ms of its id), idempotency key, outcome, outcomes to keep, dead letters to keep,
--   then the fields of the dead letter, or nothing where it was delivered.

local OUTBOX, NOTIFIED, ORDER, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local function mistyped(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and must be a ' .. kind)
  end
end

local fault = mistyped(OUTBOX, 'stream') or mistyped(NOTIFIED, 'hash') or mistyped(ORDER, 'zset') or mistyped(DEAD, 'stream')
if fault then
  return fault
end

-- XDEL needs no memory, so a server at its limit lets the whole step pass.
local removed = redis.call('XDEL', OUTBOX, ARGV[2])
redis.call('XACK', OUTBOX, ARGV[1], ARGV[2])
redis.call('HSET', NOTIFIED, ARGV[4], ARGV[5])
redis.call('ZADD', ORDER, ARGV[3], ARGV[4])
local over = redis.call('ZCARD', ORDER) - tonumber(ARGV[6])
if over > 0 then
  local oldest = redis.call('ZPOPMIN', ORDER, over)
  for member = 1, #oldest, 2 do
    redis.call('HDEL', NOTIFIED, oldest[member])
  end
end
if #ARGV > 7 and removed == 1 then
  redis.call('XADD', DEAD, 'MAXLEN', '~', ARGV[7], '*', unpack(ARGV, 8))
end
return 'OK'
