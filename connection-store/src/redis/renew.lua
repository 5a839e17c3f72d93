-- Keeps a lease, unless its node is fenced.
-- KEYS: fenced, lease, conns. ARGV: lease in ms, what the node tells, life of conns in ms.
-- Returns {2 fenced | 1 held | 0 lapsed, connections, now in ms}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {2, 0, now}
end
local held = redis.call('EXISTS', KEYS[2])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return {held, redis.call('ZCARD', KEYS[3]), now}
