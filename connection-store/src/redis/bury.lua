-- Removes connections whose ends are in the outbox by now. With the last of them the right to bury ends.
-- KEYS: reap, conns. ARGV: who asks, then a member each. Returns how many connections are left.
for i = 2, #ARGV do
  redis.call('ZREM', KEYS[2], ARGV[i])
end
local left = redis.call('ZCARD', KEYS[2])
if left == 0 and redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return left
