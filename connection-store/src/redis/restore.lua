-- Puts what is staged in the place of all documents, if their revision is lower.
-- KEYS: revision, docs, at, era, staged docs, staged at. ARGV: revision, who asks, how many have a text, how many there are.
-- Returns 'done', 'higher', 'lost' where what was staged is gone, or 'foreign' where the revision is none.
local now = redis.call('GET', KEYS[1]) or '0'
if not string.find(now, '^%d+$') then
  return 'foreign'
end
if tonumber(now) >= tonumber(ARGV[1]) then
  -- A client that had no answer asks again.
  local done = redis.call('GET', KEYS[4]) == ARGV[2]
  redis.call('DEL', KEYS[5], KEYS[6])
  return done and 'done' or 'higher'
end
if redis.call('HLEN', KEYS[5]) ~= tonumber(ARGV[3]) or redis.call('ZCARD', KEYS[6]) ~= tonumber(ARGV[4]) then
  return 'lost'
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SET', KEYS[4], ARGV[2])
redis.call('DEL', KEYS[2], KEYS[3])
if redis.call('EXISTS', KEYS[5]) == 1 then
  redis.call('RENAME', KEYS[5], KEYS[2])
  redis.call('PERSIST', KEYS[2])
end
redis.call('HSET', KEYS[2], '', ARGV[2])
redis.call('RENAME', KEYS[6], KEYS[3])
redis.call('PERSIST', KEYS[3])
return 'done'
