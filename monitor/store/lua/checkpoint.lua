-- A checkpoint and the bars that belong to it, in one step.
--
-- KEYS: leader, checkpoint, then for each bar chunk to write its resolution's name set and its key, then the same for each to remove.
-- ARGV: lease, the journal id covered, number of frames' strings, those (field, data ...), number of chunks to write, of each its
--   name and data, then the name of each chunk to remove.
-- Returns 'OK', or 'ALREADY' where the stored checkpoint is a later one: this call was late, after a time-out.

local CHECKPOINT = KEYS[2]
local LEASE, COVERS = ARGV[1], ARGV[2]
local frames = tonumber(ARGV[3])
local written = tonumber(ARGV[4 + frames])

local fault
for key = 3, #KEYS, 2 do
  fault = fault or mistyped(KEYS[key], 'zset')
end
fault = fault or refused({ 'hash' })
if fault then
  return fault
end
local stored = redis.call('HGET', CHECKPOINT, 'covers')
if stored and below(COVERS, stored) then
  return 'ALREADY'
end

-- DEL needs no memory, so a checkpoint is written even by a server at its limit: only then can the journal be trimmed.
redis.call('DEL', CHECKPOINT)
redis.call('HSET', CHECKPOINT, 'covers', COVERS, 'lease', LEASE)
for field = 4, 3 + frames, 2 do
  redis.call('HSET', CHECKPOINT, ARGV[field], ARGV[field + 1])
end
local key, argument = 3, 5 + frames
for _ = 1, written do
  redis.call('SET', KEYS[key + 1], ARGV[argument + 1])
  redis.call('ZADD', KEYS[key], 0, ARGV[argument])
  key, argument = key + 2, argument + 2
end
while key < #KEYS do
  redis.call('DEL', KEYS[key + 1])
  redis.call('ZREM', KEYS[key], ARGV[argument])
  key, argument = key + 2, argument + 1
end
return 'OK'
