-- Texts of documents, as many as there is room for, the first in any case.
-- KEYS: docs, at, era. ARGV: bytes at most, then a key each.
-- Returns {era, revision of its change or '0', 'text' | 'gone', text, ...}.
local answer = {redis.call('GET', KEYS[3]) or ''}
local room = tonumber(ARGV[1])
for i = 2, #ARGV do
  local text = redis.call('HGET', KEYS[1], ARGV[i])
  local n = #answer
  answer[n + 1] = redis.call('ZSCORE', KEYS[2], ARGV[i]) or '0'
  answer[n + 2] = text and 'text' or 'gone'
  answer[n + 3] = text or ''
  room = room - #(text or '')
  if room <= 0 then
    break
  end
end
return answer
