-- Changes documents, those given and those staged, if nothing was changed since a revision.
-- KEYS: revision, docs, at, era, staged docs, staged at. The field '' of docs says who committed last.
-- ARGV: expected revision, new revision, who asks, how many are staged, how many of these have a text, then key,
-- 'text' | 'gone', text each.
-- Returns 'done', 'behind', 'lost' where what was staged is gone, or 'torn' where docs is.
local now = redis.call('GET', KEYS[1]) or '0'
if now ~= ARGV[1] then
  -- A client that had no answer asks again.
  if now == ARGV[2] and redis.call('HGET', KEYS[2], '') == ARGV[3] then
    return 'done'
  end
  redis.call('DEL', KEYS[5], KEYS[6])
  return 'behind'
end
if redis.call('ZCARD', KEYS[6]) ~= tonumber(ARGV[4]) or redis.call('HLEN', KEYS[5]) ~= tonumber(ARGV[5]) then
  return 'lost'
end
if now == '0' then
  redis.call('SET', KEYS[4], ARGV[3])
  redis.call('DEL', KEYS[2], KEYS[3])
else
  -- Nothing undoes the first half of a script whose second half fails: keys of another type are found before.
  redis.call('ZCARD', KEYS[3])
  if not redis.call('HGET', KEYS[2], '') then
    return 'torn'
  end
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], '', ARGV[3])
local function put(key, text)
  if text then
    redis.call('HSET', KEYS[2], key, text)
  else
    redis.call('HDEL', KEYS[2], key)
  end
  redis.call('ZADD', KEYS[3], ARGV[2], key)
end
for i = 6, #ARGV, 3 do
  put(ARGV[i], ARGV[i + 1] == 'text' and ARGV[i + 2])
end
for _, key in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
  put(key, redis.call('HGET', KEYS[5], key))
end
redis.call('DEL', KEYS[5], KEYS[6])
return 'done'
