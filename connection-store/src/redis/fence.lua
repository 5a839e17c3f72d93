-- Declares a node dead, unless it holds its lease.
-- KEYS: fenced, lease. ARGV: life of the fence in s. Returns 1 where it is fenced now, else 0.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
return 1
