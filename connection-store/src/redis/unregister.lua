-- Removes connections of one node. Their records are JSON, so no byte after an id is above '}'.
-- KEYS: conns. ARGV: 16 random bytes of an id each.
for i = 1, #ARGV do
  redis.call('ZREMRANGEBYLEX', KEYS[1], '[' .. ARGV[i], '(' .. ARGV[i] .. '\255')
end
return 1
