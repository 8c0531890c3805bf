-- hold_bytes --
-- Nobody else puts a file of these bytes in its place, or takes it away, until the transaction ends.
SELECT pg_advisory_xact_lock(('x' || left(encode(%(sha256)s::bytea, 'hex'), 16))::bit(64)::bigint);

-- count_with_bytes --
-- How many firmwares there are whose file has these bytes.
SELECT count(*) FROM firmwares f WHERE f.sha256 = %(sha256)s::bytea AND f.deleted_at IS NULL;

-- insert_firmware --
-- A new firmware; its file is in its place.
INSERT INTO firmwares (account_id, name, bytes, sha256, uploaded_at, uploaded_by)
VALUES (%(account_id)s, %(name)s, %(bytes)s, %(sha256)s, %(now)s, %(uploaded_by)s)
RETURNING id;

-- hold_firmware --
-- One firmware, which is not deleted before the transaction ends.
SELECT f.id, f.account_id, f.name, f.bytes, encode(f.sha256, 'hex'), f.uploaded_at, f.uploaded_by
FROM firmwares f
WHERE f.id = %(id)s AND f.deleted_at IS NULL
FOR SHARE;

-- lock_firmware --
-- One firmware, which nobody offers or begins to fetch before the transaction ends.
SELECT f.id, f.account_id, f.name, f.bytes, encode(f.sha256, 'hex'), f.uploaded_at, f.uploaded_by
FROM firmwares f
WHERE f.id = %(id)s AND f.deleted_at IS NULL
FOR UPDATE;

-- get --
-- One firmware.
SELECT f.id, f.account_id, f.name, f.bytes, encode(f.sha256, 'hex'), f.uploaded_at, f.uploaded_by
FROM firmwares f
WHERE f.id = %(id)s AND f.deleted_at IS NULL;

-- page --
-- Firmwares of an account, or of all, the latest first.
SELECT f.id, f.account_id, f.name, f.bytes, encode(f.sha256, 'hex'), f.uploaded_at, f.uploaded_by
FROM firmwares f
WHERE f.deleted_at IS NULL
  AND (%(account_id)s::text IS NULL OR f.account_id = %(account_id)s)
  AND (%(after_at)s::timestamptz IS NULL OR (f.uploaded_at, f.id) < (%(after_at)s, %(after_id)s::text))
ORDER BY f.uploaded_at DESC, f.id DESC
LIMIT %(limit)s;

-- is_in_use --
-- Whether it is offered to a device, or being fetched.
SELECT EXISTS (SELECT FROM ota_upgrades u WHERE u.firmware_id = %(id)s AND u.state IN ('offered', 'reserved'));

-- delete --
-- A firmware is gone; the upgrades that were made with it stay.
UPDATE firmwares SET deleted_at = %(now)s WHERE id = %(id)s AND deleted_at IS NULL;

-- offered --
-- The latest firmware that is offered to a device, or that it has begun to fetch.
SELECT f.id, f.account_id, f.name, f.bytes, encode(f.sha256, 'hex'), f.uploaded_at, f.uploaded_by
FROM ota_upgrades u
JOIN firmwares f ON f.id = u.firmware_id
WHERE u.device_id = %(device_id)s AND u.state IN ('offered', 'reserved') AND f.deleted_at IS NULL
ORDER BY u.began_at DESC, u.id DESC
LIMIT 1;
