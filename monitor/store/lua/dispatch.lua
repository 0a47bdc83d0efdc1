-- One step of the dispatcher: ledger, outbox and decisions become visible together or not at all.
--
-- KEYS: leader, ledger, outbox, decisions.
-- ARGV: lease, id of the step before ('' if unknown), id of this step, decisions to keep, then lists, each after its length in strings:
--   ledger fields to set; ledger fields to remove; a number of outbox entries, of each its id and its fields; the same for decisions.
-- Returns 'OK', or 'ALREADY' where this step (or a later one) was made and nothing was written.

local LEDGER, OUTBOX, DECISIONS = KEYS[2], KEYS[3], KEYS[4]
local PREVIOUS, ID, KEPT = ARGV[2], ARGV[3], ARGV[4]
local STEP = 'step'

at = 4
local set_from, set_to = list()
local gone_from, gone_to = list()
local outbox = entries()
local decisions = entries()

local fault = refused({ 'hash', 'stream', 'stream' })
if fault then
  return fault
end
local last = redis.call('HGET', LEDGER, STEP) or '0-0'
if not below(last, ID) then
  return 'ALREADY'
end
if PREVIOUS ~= '' and below(last, PREVIOUS) then
  return redis.error_reply('GAP the ledger ends at ' .. last .. ' and ' .. PREVIOUS .. ' must come before ' .. ID)
end
if #outbox > 0 and not below(newest(OUTBOX), outbox[1].id) then
  return redis.error_reply('ORDER ' .. OUTBOX .. ' has entries later than ' .. outbox[1].id)
end
if #decisions > 0 and not below(newest(DECISIONS), decisions[1].id) then
  return redis.error_reply('ORDER ' .. DECISIONS .. ' has entries later than ' .. decisions[1].id)
end

-- The first write: from here on nothing fails.
local noted = redis.pcall('HSET', LEDGER, STEP, ID)
if type(noted) == 'table' and noted.err then
  return noted
end
each('HSET', LEDGER, set_from, set_to)
each('HDEL', LEDGER, gone_from, gone_to)
for _, entry in ipairs(outbox) do
  redis.call('XADD', OUTBOX, entry.id, unpack(ARGV, entry.from, entry.to))
end
for _, entry in ipairs(decisions) do
  redis.call('XADD', DECISIONS, 'MAXLEN', '~', KEPT, entry.id, unpack(ARGV, entry.from, entry.to))
end
return 'OK'
