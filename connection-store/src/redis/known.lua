-- Whether a node is among the nodes, and how old the data set is; one without a birth is born now.
-- KEYS: the last two are nodes, boot. ARGV: node. Returns {'known' | 'nobody', age in ms}
local nodes, boot = KEYS[#KEYS - 1], KEYS[#KEYS]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', boot, now, 'NX')
local known = 'nobody'
if redis.call('ZSCORE', nodes, ARGV[1]) then
  known = 'known'
end
-- Text that is no number counts as a birth just now: the answer stays 'unknown'.
local born = tonumber(redis.call('GET', boot)) or now
return {known, now - born}
