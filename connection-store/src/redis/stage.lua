-- Puts documents beside the others, where nobody sees them; forgotten where nobody comes back.
-- KEYS: staged docs, staged at. ARGV: life in ms, then key, revision, 'text' | 'gone', text each.
for i = 2, #ARGV, 4 do
  redis.call('ZADD', KEYS[2], ARGV[i + 1], ARGV[i])
  if ARGV[i + 2] == 'text' then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 3])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 1
