-- Keeps a lease, unless its node is fenced.
-- KEYS: fenced, lease, conns. ARGV: lease in ms, what the node tells, life of conns in ms.
-- Returns {'fenced' | 'held' | 'lapsed', connections, now in ms}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'fenced', 0, now}
end
local lease = redis.call('EXISTS', KEYS[2]) == 1 and 'held' or 'lapsed'
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return {lease, redis.call('ZCARD', KEYS[3]), now}
