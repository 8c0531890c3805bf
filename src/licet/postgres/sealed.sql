-- stale_products --
-- Products whose secret was sealed with another key than the one that seals now, by id.
SELECT p.id, p.product_key, p.sealed_secret
FROM products p
WHERE p.id > %(after)s AND p.deleted_at IS NULL AND get_byte(p.sealed_secret, 0) <> %(current)s
ORDER BY p.id
LIMIT %(limit)s;

-- reseal_products --
-- New seals, each only in place of the one it was made from.
UPDATE products
SET sealed_secret = t.fresh
FROM unnest(%(ids)s::integer[], %(stale)b::bytea[], %(fresh)b::bytea[]) AS t (id, stale, fresh)
WHERE products.id = t.id AND products.sealed_secret = t.stale;

-- stale_devices --
-- Devices, likewise.
SELECT d.id, p.product_key || '/' || d.device_key, d.sealed_secret
FROM devices d
JOIN products p ON p.id = d.product_id
WHERE d.id > %(after)s AND d.sealed_secret IS NOT NULL AND get_byte(d.sealed_secret, 0) <> %(current)s
ORDER BY d.id
LIMIT %(limit)s;

-- reseal_devices --
-- New seals, each only in place of the one it was made from.
UPDATE devices
SET sealed_secret = t.fresh
FROM unnest(%(ids)s::bigint[], %(stale)b::bytea[], %(fresh)b::bytea[]) AS t (id, stale, fresh)
WHERE devices.id = t.id AND devices.sealed_secret = t.stale;

-- stale_answers --
-- Answers that are kept for an Idempotency-Key, likewise.
SELECT a.scope, a.key, a.sealed_answer
FROM asks a
WHERE (a.scope, a.key) > (%(after_scope)s, %(after_key)s)
  AND a.sealed_answer IS NOT NULL AND get_byte(a.sealed_answer, 0) <> %(current)s
ORDER BY a.scope, a.key
LIMIT %(limit)s;

-- reseal_answers --
-- New seals, each only in place of the one it was made from.
UPDATE asks
SET sealed_answer = t.fresh
FROM unnest(%(scopes)s::text[], %(keys)s::text[], %(stale)b::bytea[], %(fresh)b::bytea[])
         AS t (scope, key, stale, fresh)
WHERE asks.scope = t.scope AND asks.key = t.key AND asks.sealed_answer = t.stale;
