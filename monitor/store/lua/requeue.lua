-- Dead letters go back into the outbox, under the lease: as new entries with the fields they had (the same idempotency key), and without
-- the mark that they are done with, which would have them passed over. One that is not among the dead any more is passed over, so repeating it changes nothing.
--
-- KEYS: leader, outbox, notified, notified:order, dead. ARGV: lease, then the ids of dead letters, in their order.
-- Returns the ids that went back.

local OUTBOX, NOTIFIED, ORDER, DEAD = KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local fault = refused({ 'stream', 'hash', 'zset', 'stream' })
if fault then
  return fault
end

-- A new entry's id is the one after the newest: that of the server's clock could be later than the dispatcher's next step.
local ms, number = string.match(newest(OUTBOX), '^(%d+)-(%d+)$')
number = tonumber(number)

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
