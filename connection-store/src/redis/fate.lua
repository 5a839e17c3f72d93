-- What a node's own keys say of it. Where nothing does, known.lua follows if its keys are on the same server.
-- KEYS: fenced, lease, conns[, nodes, boot]. ARGV: node. Returns {'fenced' | 'live' | 'unknown' | 'nothing', 0}, or what known.lua says.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'fenced', 0}
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return {'live', 0}
end
if redis.call('EXISTS', KEYS[3]) == 1 then
  return {'unknown', 0}
end
if #KEYS == 3 then
  return {'nothing', 0}
end
