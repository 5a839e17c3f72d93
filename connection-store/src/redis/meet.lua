-- Makes a node known, and the birth of the data set.
-- KEYS: nodes, boot. ARGV: node. Returns now in ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[2], now, 'NX')
redis.call('ZADD', KEYS[1], now, ARGV[1])
return now
