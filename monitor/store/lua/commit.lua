-- One commit: journal entry, instances, transitions, positions and quotes become visible together or not at all.
--
-- A script is not rolled back when a command in it fails, so everything that can fail is found before the first write:
--   * keys of a wrong type and ids that would go back are looked for here;
--   * no memory, a read-only replica, missing replicas, a full disk: the server judges these at the first write of a script and
--     never after it. The first write is the XADD to the journal, which needs memory and is therefore refused in each case.
--
-- KEYS: leader, journal, instances, transitions, positions, then a key for each quote.
-- ARGV: lease, id of the commit before ('' if unknown), journal id, transitions to keep, then lists, each after its length in strings:
--   the entry's fields; instances to set; instances to remove; positions to set; a number of transitions, of each its id and its fields;
--   the fields of each quote.
-- Returns 'OK', or 'ALREADY' where the journal has this id (or a later one) and nothing was written.

local LEADER, JOURNAL, INSTANCES, TRANSITIONS, POSITIONS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local LEASE, PREVIOUS, ID, KEPT = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local FIRST_QUOTE = 6
local CHUNK = 4000 -- strings handed to one command: Lua's stack takes 8,000; even, so that pairs stay together

local at = 4
local function take()
  at = at + 1
  return ARGV[at]
end

-- The positions in ARGV of the list that comes next.
local function list()
  local count = tonumber(take())
  local from = at + 1
  at = at + count
  return from, at
end

local function entries()
  local found = {}
  for number = 1, tonumber(take()) do
    local id = take()
    local from, to = list()
    found[number] = { id = id, from = from, to = to }
  end
  return found
end

-- Stream ids are pairs of 64-bit numbers, which Lua's numbers cannot hold; as decimals, the longer is the larger.
local function decimal_below(a, b)
  if #a ~= #b then
    return #a < #b
  end
  return a < b
end

local function below(a, b)
  local a_ms, a_number = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_number = string.match(b, '^(%d+)-(%d+)$')
  if a_ms ~= b_ms then
    return decimal_below(a_ms, b_ms)
  end
  return decimal_below(a_number, b_number)
end

local function newest(stream)
  if redis.call('EXISTS', stream) == 0 then
    return '0-0'
  end
  local info = redis.call('XINFO', 'STREAM', stream)
  for field = 1, #info, 2 do
    if info[field] == 'last-generated-id' then
      return info[field + 1]
    end
  end
end

local function mistyped(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and must be a ' .. kind)
  end
end

-- What is asked for.
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

-- What speaks against it.
local fault = mistyped(LEADER, 'string')
  or mistyped(JOURNAL, 'stream')
  or mistyped(INSTANCES, 'hash')
  or mistyped(TRANSITIONS, 'stream')
  or mistyped(POSITIONS, 'hash')
for number = FIRST_QUOTE, #KEYS do
  fault = fault or mistyped(KEYS[number], 'hash')
end
if fault then
  return fault
end

local held = redis.call('GET', LEADER)
if held ~= LEASE then
  return redis.error_reply('LEASELOST the lease is ' .. (held or 'gone') .. ', not ' .. LEASE)
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
for from = set_from, set_to, CHUNK do
  redis.call('HSET', INSTANCES, unpack(ARGV, from, math.min(from + CHUNK - 1, set_to)))
end
for from = gone_from, gone_to, CHUNK do
  redis.call('HDEL', INSTANCES, unpack(ARGV, from, math.min(from + CHUNK - 1, gone_to)))
end
for from = stand_from, stand_to, CHUNK do
  redis.call('HSET', POSITIONS, unpack(ARGV, from, math.min(from + CHUNK - 1, stand_to)))
end
for _, entry in ipairs(transitions) do
  redis.call('XADD', TRANSITIONS, 'MAXLEN', '~', KEPT, entry.id, unpack(ARGV, entry.from, entry.to))
end
for number = FIRST_QUOTE, #KEYS do
  redis.call('HSET', KEYS[number], unpack(ARGV, quotes[number].from, quotes[number].to))
end
return 'OK'
