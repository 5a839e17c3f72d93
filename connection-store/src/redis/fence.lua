-- Declares a node dead, unless it holds its lease.
-- KEYS: fenced, lease. ARGV: life of the fence in s. Returns 'fenced', or 'alive' where it holds its lease.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 'alive'
end
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
return 'fenced'
