-- One commit: journal entry, instances, transitions, positions and quotes become visible together or not at all.
--
-- KEYS: leader, journal, instances, transitions, positions, then a key for each quote.
-- ARGV: lease, id of the commit before ('' if unknown), journal id, transitions to keep, then lists, each after its length in strings:
--   the entry's fields; instances to set; instances to remove; positions to set; a number of transitions, of each its id and its fields;
--   the fields of each quote.
-- Returns 'OK', or 'ALREADY' where the journal has this id (or a later one) and nothing was written.

local JOURNAL, INSTANCES, TRANSITIONS, POSITIONS = KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local PREVIOUS, ID, KEPT = ARGV[2], ARGV[3], ARGV[4]
local FIRST_QUOTE = 6

at = 4
local entry_from, entry_to = list()
local set_from, set_to = list()
local gone_from, gone_to = list()
local stand_from, stand_to = list()
local transitions = entries()
local quotes = {}
for number = FIRST_QUOTE, #KEYS do
  local from, to = list()
  quotes[number] = { from = from, to = to }
end

local fault = refused({ 'stream', 'hash', 'stream', 'hash' }, 'hash')
if fault then
  return fault
end
local last = newest(JOURNAL)
if not below(last, ID) then
  return 'ALREADY'
end
if PREVIOUS ~= '' and below(last, PREVIOUS) then
  return redis.error_reply('GAP the journal ends at ' .. last .. ' and ' .. PREVIOUS .. ' must come before ' .. ID)
end
if #transitions > 0 and not below(newest(TRANSITIONS), transitions[1].id) then
  return redis.error_reply('ORDER ' .. TRANSITIONS .. ' has entries later than ' .. transitions[1].id)
end

-- The first write: from here on nothing fails.
local added = redis.pcall('XADD', JOURNAL, ID, unpack(ARGV, entry_from, entry_to))
if type(added) == 'table' and added.err then
  return added
end
each('HSET', INSTANCES, set_from, set_to)
each('HDEL', INSTANCES, gone_from, gone_to)
each('HSET', POSITIONS, stand_from, stand_to)
for _, entry in ipairs(transitions) do
  redis.call('XADD', TRANSITIONS, 'MAXLEN', '~', KEPT, entry.id, unpack(ARGV, entry.from, entry.to))
end
for number = FIRST_QUOTE, #KEYS do
  redis.call('HSET', KEYS[number], unpack(ARGV, quotes[number].from, quotes[number].to))
end
return 'OK'
