-- An end was not delivered; one that was settled meanwhile stays settled.
-- KEYS: due. ARGV: id, for how long in ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], 'XX', now + ARGV[2], ARGV[1])
return 1
