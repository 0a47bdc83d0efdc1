-- A notification is done with: out of the outbox, its outcome noted, and into the dead letters where it was given up. As in commit.lua,
-- whatever can fail is found before the first write. Repeating it changes nothing.
--
-- KEYS: leader, outbox, notified, notified:order, dead.
-- ARGV: lease, group, outbox id, its age (the ms of its id), idempotency key, outcome, outcomes to keep, dead letters to keep,
--   then the fields of the dead letter, or nothing where it was delivered.

local LEADER, OUTBOX, NOTIFIED, ORDER, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

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

local held = redis.call('GET', LEADER)
if held ~= ARGV[1] then
  return redis.error_reply('LEASELOST the lease is ' .. (held or 'gone') .. ', not ' .. ARGV[1])
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
