-- Adds connections of one node, unless it is fenced.
-- KEYS: fenced, conns. ARGV: life of conns in ms, then a member each. Returns 'fenced' or 'done'.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'fenced'
end
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[2], 0, ARGV[i])
end
if redis.call('PTTL', KEYS[2]) < 0 then
  redis.call('PEXPIRE', KEYS[2], ARGV[1])
end
return 'done'
