-- What every script under the lease begins with; the program puts it before each. KEYS[1] is the lease's key, ARGV[1] the lease.
--
-- A script is not rolled back when a command in it fails, so everything that can fail is found before the first write:
--   * keys of a wrong type, another's lease and ids that would go back are looked for by the script;
--   * no memory, a read-only replica, missing replicas, a full disk: the server judges these at the first write of a script and
--     never after it. So the first write is one that needs memory where a later one does.

local CHUNK = 4000 -- strings handed to one command: Lua's stack takes 8,000; even, so that pairs stay together

local function mistyped(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and must be a ' .. kind)
  end
end

-- Why nothing may be written; nil where it may. kinds: the types of KEYS[2] and those that follow; others: of the rest, nil for any.
local function refused(kinds, others)
  local fault = mistyped(KEYS[1], 'string')
  for number = 2, #KEYS do
    local kind = kinds[number - 1] or others
    fault = fault or (kind and mistyped(KEYS[number], kind))
  end
  if fault then
    return fault
  end
  local held = redis.call('GET', KEYS[1])
  if held ~= ARGV[1] then
    return redis.error_reply('LEASELOST the lease is ' .. (held or 'gone') .. ', not ' .. ARGV[1])
  end
end

-- Lists in ARGV, one after the other, each after its length in strings. A script says after which argument they begin.
local at = 1

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

-- A number of entries of a stream, of each its id and its fields.
local function entries()
  local found = {}
  for number = 1, tonumber(take()) do
    local id = take()
    local from, to = list()
    found[number] = { id = id, from = from, to = to }
  end
  return found
end

-- A command over a list, in pieces.
local function each(command, key, from, to)
  for first = from, to, CHUNK do
    redis.call(command, key, unpack(ARGV, first, math.min(first + CHUNK - 1, to)))
  end
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
