-- Documents that changed after a revision.
-- KEYS: revision, docs, at, era. ARGV: revision, bytes of texts at most.
-- Returns {revision} where it is no higher, {'torn'} where docs is gone, else
-- {revision, era, key, revision of its change, 'text' | 'gone' | 'later', text, key, ...}; 'later' where there was no room.
local now = redis.call('GET', KEYS[1]) or '0'
local number = tonumber(now)
if not number or number <= tonumber(ARGV[1]) then
  return {now}
end
if not redis.call('HGET', KEYS[2], '') then
  return {'torn'}
end
local answer = {now, redis.call('GET', KEYS[4]) or ''}
local room = tonumber(ARGV[2])
local found = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[1], '+inf', 'WITHSCORES')
for i = 1, #found, 2 do
  local kind, text = 'later', ''
  if room > 0 then
    text = redis.call('HGET', KEYS[2], found[i])
    kind = text and 'text' or 'gone'
    text = text or ''
    room = room - #text
  end
  local n = #answer
  answer[n + 1] = found[i]
  answer[n + 2] = found[i + 1]
  answer[n + 3] = kind
  answer[n + 4] = text
end
return answer
