-- Takes the right to bury a fenced node, or keeps it, and reads some of its connections.
-- KEYS: reap, fenced, conns. ARGV: who asks, how long the right lasts in ms, how many at most.
-- Returns {'taken'}, {'alive'}, or {'yours', now in ms, member, ...}.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return {'taken'}
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  return {'alive'}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local time = redis.call('TIME')
local found = redis.call('ZRANGE', KEYS[3], 0, ARGV[3] - 1)
table.insert(found, 1, string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
table.insert(found, 1, 'yours')
return found
