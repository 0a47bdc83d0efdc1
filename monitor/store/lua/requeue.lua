-- Dead letters go back into the outbox, under the lease: as new entries with the fields they had (the same idempotency key), and without
-- the mark that they are done with, which would have them passed over. As in commit.lua, whatever can fail is found before the first write.
-- One that is not among the dead any more is passed over, so repeating it changes nothing.
--
-- KEYS: leader, outbox, notified, notified:order, dead. ARGV: lease, then the ids of dead letters, in their order.
-- Returns the ids that went back.

local LEADER, OUTBOX, NOTIFIED, ORDER, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local function mistyped(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and must be a ' .. kind)
  end
end

local fault = mistyped(LEADER, 'string')
  or mistyped(OUTBOX, 'stream')
  or mistyped(NOTIFIED, 'hash')
  or mistyped(ORDER, 'zset')
  or mistyped(DEAD, 'stream')
if fault then
  return fault
end

local held = redis.call('GET', LEADER)
if held ~= ARGV[1] then
  return redis.error_reply('LEASELOST the lease is ' .. (held or 'gone') .. ', not ' .. ARGV[1])
end

-- A new entry's id is the one after the newest: that of the server's clock could be later than the dispatcher's next step.
local ms, number = '0', 0
if redis.call('EXISTS', OUTBOX) == 1 then
  local info = redis.call('XINFO', 'STREAM', OUTBOX)
  for field = 1, #info, 2 do
    if info[field] == 'last-generated-id' then
      ms, number = string.match(info[field + 1], '^(%d+)-(%d+)$')
      number = tonumber(number)
    end
  end
end

local back = {}
for at = 2, #ARGV do
  local letter = redis.call('XRANGE', DEAD, ARGV[at], ARGV[at])[1]
  if letter then
    local fields, kept, key = letter[2], {}, nil
    for field = 1, #fields, 2 do
      if fields[field] ~= 'outcome' then
        kept[#kept + 1] = fields[field]
        kept[#kept + 1] = fields[field + 1]
      end
      if fields[field] == 'key' then
        key = fields[field + 1]
      end
    end
    if #kept > 0 then
      -- It is in the outbox before it leaves the dead; where there is no memory for it, this first write says so.
      number = number + 1
      local added = redis.pcall('XADD', OUTBOX, ms .. '-' .. string.format('%.0f', number), unpack(kept))
      if type(added) == 'table' and added.err then
        return added
      end
      if key then
        redis.call('HDEL', NOTIFIED, key)
        redis.call('ZREM', ORDER, key)
      end
      redis.call('XDEL', DEAD, letter[1])
      back[#back + 1] = letter[1]
    end
  end
end
return back
