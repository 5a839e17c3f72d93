-- Hands out ends whose time has come, and hides them from others for a while.
-- KEYS: item, due, since, tries. ARGV: how many at most, for how long in ms.
-- Returns {id, item, claims before, age in ms, id, ...}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[1])
local claimed = {}
for _, id in ipairs(found) do
  local item = redis.call('HGET', KEYS[1], id)
  if item then
    redis.call('ZADD', KEYS[2], now + ARGV[2], id)
    local tries = redis.call('HINCRBY', KEYS[4], id, 1)
    local since = tonumber(redis.call('ZSCORE', KEYS[3], id) or now)
    claimed[#claimed + 1] = id
    claimed[#claimed + 1] = item
    claimed[#claimed + 1] = tries - 1
    claimed[#claimed + 1] = math.max(0, now - since)
  else
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
    redis.call('HDEL', KEYS[4], id)
  end
end
return claimed
