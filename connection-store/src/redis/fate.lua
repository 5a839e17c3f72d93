-- What the node's own keys say of it.
-- KEYS: fenced, lease, conns. Returns 'fenced', 'live', 'unknown', or 'nothing' where there are none.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'fenced'
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 'live'
end
if redis.call('EXISTS', KEYS[3]) == 1 then
  return 'unknown'
end
return 'nothing'
