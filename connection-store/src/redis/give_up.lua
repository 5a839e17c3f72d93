-- An end becomes a dead letter; the oldest dead letters make room.
-- KEYS: item, due, since, tries, dead, graves. ARGV: id, why as JSON, how many dead letters are kept.
local item = redis.call('HGET', KEYS[1], ARGV[1])
if not item then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local tries = redis.call('HGET', KEYS[4], ARGV[1]) or '0'
redis.call('HSET', KEYS[5], ARGV[1], tries .. '\n' .. ARGV[2] .. '\n' .. item)
redis.call('ZADD', KEYS[6], now, ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
local surplus = redis.call('ZCARD', KEYS[6]) - ARGV[3]
if surplus > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[6], math.min(surplus, 1000))
  for i = 1, #oldest, 2 do
    redis.call('HDEL', KEYS[5], oldest[i])
  end
end
return 1
