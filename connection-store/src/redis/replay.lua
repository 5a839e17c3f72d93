-- Puts a dead letter back into the outbox, as if it were new.
-- KEYS: item, due, since, dead, graves. ARGV: id. Returns 1, 0 where there is none, or -1 where it cannot be read.
local letter = redis.call('HGET', KEYS[4], ARGV[1])
if not letter then
  return 0
end
local first = string.find(letter, '\n', 1, true)
local second = first and string.find(letter, '\n', first + 1, true)
if not second then
  return -1
end
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
if redis.call('HSETNX', KEYS[1], ARGV[1], string.sub(letter, second + 1)) == 1 then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZADD', KEYS[2], now, ARGV[1])
  redis.call('ZADD', KEYS[3], now, ARGV[1])
end
return 1
