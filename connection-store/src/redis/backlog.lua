-- How much waits.
-- KEYS: item, since, graves. Returns {waiting, age of the oldest in ms, dead}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local age = 0
if oldest[2] then
  age = math.max(0, now - oldest[2])
end
return {redis.call('HLEN', KEYS[1]), age, redis.call('ZCARD', KEYS[3])}
