-- What a node tells of itself, and how many connections it has.
-- KEYS: lease, conns. Returns {what it tells or false, connections}.
return {redis.call('GET', KEYS[1]), redis.call('ZCARD', KEYS[2])}
