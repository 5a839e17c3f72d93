-- Whether a node is among the nodes, and how old the data set is; one without a birth is born now.
-- KEYS: nodes, boot. ARGV: node. Returns {'known' | 'nobody', age in ms}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[2], now, 'NX')
local known = 'nobody'
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  known = 'known'
end
-- Text that is no number counts as a birth just now: the answer stays 'unknown'.
local boot = tonumber(redis.call('GET', KEYS[2])) or now
return {known, now - boot}
