-- All nodes and how long each has been silent.
-- KEYS: nodes. Returns {now in ms, node, time of its last renewal, node, ...}.
local time = redis.call('TIME')
local found = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
table.insert(found, 1, string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
return found
