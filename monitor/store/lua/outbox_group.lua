-- Makes the outbox's consumer group, and forgets consumers of former daemons: each start brings a new name, and they would pile up.
-- One that still holds notifications stays, since these would be forgotten with it. KEYS: outbox. ARGV: group, ms of idleness.
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then
  return made
end
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local about = {}
  for field = 1, #consumer, 2 do
    about[consumer[field]] = consumer[field + 1]
  end
  if about.pending == 0 and about.idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], about.name)
  end
end
return 'OK'
