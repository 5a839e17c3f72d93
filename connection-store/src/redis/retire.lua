-- The orderly end of a node. What it left registered stays, to be buried.
-- KEYS: fenced, lease, conns. ARGV: life of the fence in s. Returns how many connections are left.
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
redis.call('DEL', KEYS[2])
return redis.call('ZCARD', KEYS[3])
