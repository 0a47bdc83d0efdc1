-- One step of the dispatcher: ledger, outbox and decisions become visible together or not at all. As in commit.lua, whatever can fail is
-- found before the first write.
--
-- KEYS: leader, ledger, outbox, decisions.
-- ARGV: lease, id of the step before ('' if unknown), id of this step, decisions to keep, then lists, each after its length in strings:
--   ledger fields to set; ledger fields to remove; a number of outbox entries, of each its id and its fields; the same for decisions.
-- Returns 'OK', or 'ALREADY' where this step (or a later one) was made and nothing was written.

local LEADER, LEDGER, OUTBOX, DECISIONS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local LEASE, PREVIOUS, ID, KEPT = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local STEP = 'step'
local CHUNK = 4000 -- strings handed to one command: Lua's stack takes 8,000; even, so that pairs stay together

local at = 4
local function take()
  at = at + 1
  return ARGV[at]
end

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

local set_from, set_to = list()
local gone_from, gone_to = list()
local outbox = entries()
local decisions = entries()

local fault = mistyped(LEADER, 'string')
  or mistyped(LEDGER, 'hash')
  or mistyped(OUTBOX, 'stream')
  or mistyped(DECISIONS, 'stream')
if fault then
  return fault
end

local held = redis.call('GET', LEADER)
if held ~= LEASE then
  return redis.error_reply('LEASELOST the lease is ' .. (held or 'gone') .. ', not ' .. LEASE)
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
for from = set_from, set_to, CHUNK do
  redis.call('HSET', LEDGER, unpack(ARGV, from, math.min(from + CHUNK - 1, set_to)))
end
for from = gone_from, gone_to, CHUNK do
  redis.call('HDEL', LEDGER, unpack(ARGV, from, math.min(from + CHUNK - 1, gone_to)))
end
for _, entry in ipairs(outbox) do
  redis.call('XADD', OUTBOX, entry.id, unpack(ARGV, entry.from, entry.to))
end
for _, entry in ipairs(decisions) do
  redis.call('XADD', DECISIONS, 'MAXLEN', '~', KEPT, entry.id, unpack(ARGV, entry.from, entry.to))
end
return 'OK'
