-- look_up --
-- What the books know about each who knocks, in the order of the knocks: the device, its secret, its last span, a cut-off;
-- nulls where there is no such product or device. One index look-up each: it costs the same however many devices there
-- are.
SELECT p.id, p.name, p.auto_renewal, d.id, d.sealed_secret, d.virtual, a.ends_at,
       EXISTS (SELECT FROM no_renewals x WHERE x.device_id = d.id),
       (SELECT max(c.ends_at) FROM cut_offs c WHERE c.device_id = d.id AND c.ends_at > %(now)s)
FROM unnest(%(product_keys)b::text[], %(device_keys)b::text[]) WITH ORDINALITY AS k (product_key, device_key, n)
LEFT JOIN products p ON p.product_key = k.product_key AND p.deleted_at IS NULL
LEFT JOIN devices d ON d.product_id = p.id AND d.device_key = k.device_key AND d.deleted_at IS NULL
LEFT JOIN LATERAL (
    SELECT s.ends_at FROM activations s WHERE s.device_id = d.id ORDER BY s.ordinal DESC LIMIT 1
) a ON true
ORDER BY k.n;

-- insert_devices --
-- New devices of one product; those it has already are passed over. Returned: the ids and keys of the new ones.
INSERT INTO devices (product_id, device_key, sealed_secret, secret_origin, virtual, enrolled_at)
SELECT %(product_id)s, t.device_key, t.sealed_secret, t.secret_origin, t.virtual, %(now)s
FROM unnest(%(device_keys)b::text[], %(sealed_secrets)b::bytea[], %(origins)b::text[], %(virtuals)b::boolean[])
         AS t (device_key, sealed_secret, secret_origin, virtual)
ORDER BY t.device_key
ON CONFLICT ON CONSTRAINT devices_key_once DO NOTHING
RETURNING id, device_key;

-- lock_devices --
-- Devices of one product by their keys, deleted ones too, held until the transaction ends, in the order of their ids.
SELECT d.id, d.device_key, d.sealed_secret, d.secret_origin, d.virtual, d.deleted_at
FROM devices d
WHERE d.product_id = %(product_id)s AND d.device_key = ANY (%(device_keys)b::text[])
ORDER BY d.id
FOR NO KEY UPDATE;

-- set_secrets --
-- New secrets for these devices. One that was deleted is back by that, with its spans.
UPDATE devices
SET sealed_secret = t.sealed_secret, secret_origin = t.secret_origin, virtual = t.virtual, deleted_at = NULL
FROM unnest(%(ids)b::bigint[], %(sealed_secrets)b::bytea[], %(origins)b::text[], %(virtuals)b::boolean[])
         AS t (id, sealed_secret, secret_origin, virtual)
WHERE devices.id = t.id;

-- delete --
-- Devices are deleted: they keep their rows and their spans, and lose their secrets (C6).
UPDATE devices SET deleted_at = %(now)s, sealed_secret = NULL, secret_origin = NULL
WHERE id = ANY (%(ids)b::bigint[]) AND deleted_at IS NULL;

-- spend_nonce --
-- This registration is granted, once.
INSERT INTO registrations (device_id, nonce, registered_at) VALUES (%(device_id)s, %(nonce)s, %(now)s);

-- stop_renewing --
-- These devices are on the list of those that do not renew (D3).
INSERT INTO no_renewals (device_id, listed_at)
SELECT t.id, %(now)s FROM unnest(%(ids)b::bigint[]) AS t (id) ORDER BY t.id
ON CONFLICT ON CONSTRAINT no_renewals_pkey DO NOTHING;

-- resume_renewing --
-- These devices are off that list.
DELETE FROM no_renewals WHERE device_id = ANY (%(ids)b::bigint[]);

-- not_renewing --
-- The devices of a product that do not renew, by key.
SELECT d.device_key, x.listed_at
FROM no_renewals x
JOIN devices d ON d.id = x.device_id
WHERE d.product_id = %(product_id)s AND d.deleted_at IS NULL AND d.device_key > %(after)s
ORDER BY d.device_key
LIMIT %(limit)s;

-- page --
-- Devices of an account, or of all, product by product and by key, each with its last span.
SELECT d.id, p.product_key, p.name, d.device_key, d.virtual, d.enrolled_at, p.auto_renewal,
       EXISTS (SELECT FROM no_renewals x WHERE x.device_id = d.id), a.ordinal, a.starts_at, a.ends_at
FROM (SELECT q.id, q.product_key, q.name, q.auto_renewal
      FROM products q
      WHERE q.deleted_at IS NULL AND q.id >= %(after_product)s
        AND (%(account_id)s::text IS NULL OR q.account_id = %(account_id)s)
        AND (%(product_key)s::text IS NULL OR q.product_key = %(product_key)s)) p
CROSS JOIN LATERAL (
    SELECT e.id, e.device_key, e.virtual, e.enrolled_at
    FROM devices e
    LEFT JOIN LATERAL (
        SELECT s.starts_at, s.ends_at FROM activations s WHERE s.device_id = e.id ORDER BY s.ordinal DESC LIMIT 1
    ) f ON true
    WHERE e.product_id = p.id AND e.deleted_at IS NULL
      AND e.device_key > CASE WHEN p.id = %(after_product)s THEN %(after_key)s::text ELSE '' END
      AND (%(device_key)s::text IS NULL
           OR (e.device_key >= %(device_key)s AND starts_with(e.device_key, %(device_key)s)))
      AND (%(active)s::boolean IS NULL
           OR (e.virtual OR coalesce(f.ends_at > %(now)s::timestamptz, false)) = %(active)s)
      AND (%(activated_from)s::timestamptz IS NULL OR f.starts_at >= %(activated_from)s)
      AND (%(activated_to)s::timestamptz IS NULL OR f.starts_at < %(activated_to)s)
      AND (%(expires_from)s::timestamptz IS NULL OR f.ends_at >= %(expires_from)s)
      AND (%(expires_to)s::timestamptz IS NULL OR f.ends_at < %(expires_to)s)
    ORDER BY e.device_key
    LIMIT %(limit)s
) d
LEFT JOIN LATERAL (
    SELECT s.ordinal, s.starts_at, s.ends_at
    FROM activations s WHERE s.device_id = d.id ORDER BY s.ordinal DESC LIMIT 1
) a ON true
ORDER BY p.id, d.device_key
LIMIT %(limit)s;

-- by_expiry --
-- Devices whose span ends in (expires_from, expires_to], the soonest first; near expiry is the next 30 days (D6).
SELECT d.id, p.product_key, p.name, d.device_key, d.virtual, d.enrolled_at, p.auto_renewal,
       EXISTS (SELECT FROM no_renewals x WHERE x.device_id = d.id), a.ordinal, a.starts_at, a.ends_at
FROM (SELECT q.id, q.product_key, q.name, q.auto_renewal
      FROM products q
      WHERE q.deleted_at IS NULL
        AND (%(account_id)s::text IS NULL OR q.account_id = %(account_id)s)
        AND (%(product_key)s::text IS NULL OR q.product_key = %(product_key)s)) p
CROSS JOIN LATERAL (
    SELECT s.device_id, s.ordinal, s.starts_at, s.ends_at
    FROM activations s
    JOIN devices e ON e.id = s.device_id
    WHERE s.product_id = p.id AND e.deleted_at IS NULL
      AND s.ends_at > %(expires_from)s AND s.ends_at <= %(expires_to)s
      AND (s.ends_at, s.device_id) > (%(after_ends_at)s, %(after_id)s)
      AND (%(device_key)s::text IS NULL OR starts_with(e.device_key, %(device_key)s))
      AND (%(activated_from)s::timestamptz IS NULL OR s.starts_at >= %(activated_from)s)
      AND (%(activated_to)s::timestamptz IS NULL OR s.starts_at < %(activated_to)s)
      AND NOT EXISTS (SELECT FROM activations n WHERE n.device_id = s.device_id AND n.ordinal = s.ordinal + 1)
    ORDER BY s.ends_at, s.device_id
    LIMIT %(limit)s
) a
JOIN devices d ON d.id = a.device_id
ORDER BY a.ends_at, d.id
LIMIT %(limit)s;

-- get --
-- One device with its last span.
SELECT d.id, p.product_key, p.name, d.device_key, d.virtual, d.enrolled_at, p.auto_renewal,
       EXISTS (SELECT FROM no_renewals x WHERE x.device_id = d.id), a.ordinal, a.starts_at, a.ends_at
FROM products p
JOIN devices d ON d.product_id = p.id
LEFT JOIN LATERAL (
    SELECT s.ordinal, s.starts_at, s.ends_at
    FROM activations s WHERE s.device_id = d.id ORDER BY s.ordinal DESC LIMIT 1
) a ON true
WHERE p.product_key = %(product_key)s AND p.deleted_at IS NULL
  AND d.device_key = %(device_key)s AND d.deleted_at IS NULL;
