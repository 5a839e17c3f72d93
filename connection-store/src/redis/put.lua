-- Puts ends into the outbox; those that wait already stay as they are.
-- KEYS: item, due, since. ARGV: id, item, id, item, ...
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) == 1 then
    redis.call('ZADD', KEYS[2], now, ARGV[i])
    redis.call('ZADD', KEYS[3], now, ARGV[i])
  end
end
return 1
