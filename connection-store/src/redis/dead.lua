-- Dead letters, the oldest first.
-- KEYS: dead, graves. ARGV: first, last. Returns {id, when it was given up, letter or false, id, ...}.
local found = redis.call('ZRANGE', KEYS[2], ARGV[1], ARGV[2], 'WITHSCORES')
local letters = {}
for i = 1, #found, 2 do
  letters[#letters + 1] = found[i]
  letters[#letters + 1] = found[i + 1]
  letters[#letters + 1] = redis.call('HGET', KEYS[1], found[i])
end
return letters
