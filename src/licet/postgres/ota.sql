-- lock_device --
-- A device by its keys, held until the transaction ends, and whose it is.
SELECT d.id, d.device_key, d.virtual, p.id, p.product_key, p.account_id
FROM products p
JOIN devices d ON d.product_id = p.id
WHERE p.product_key = %(product_key)s AND p.deleted_at IS NULL
  AND d.device_key = %(device_key)s AND d.deleted_at IS NULL
FOR NO KEY UPDATE OF d;

-- standing --
-- How a device stands in the month of its account's calendar that is running (F2): the month's first day, the account's
-- mode on this day, the month's allowance by the package that counts now, and what is reserved or completed of it.
SELECT t.month_on, m.mode, coalesce(k.ota_per_month, 0), u.held
FROM devices d
JOIN products p ON p.id = d.product_id
JOIN accounts a ON a.id = p.account_id
CROSS JOIN LATERAL (
    SELECT (%(now)s::timestamptz AT TIME ZONE a.time_zone)::date AS today,
           date_trunc('month', %(now)s::timestamptz AT TIME ZONE a.time_zone)::date AS month_on
) t
CROSS JOIN LATERAL (
    SELECT coalesce((SELECT x.mode FROM account_modes x
                     WHERE x.account_id = a.id AND x.starts_on <= t.today
                     ORDER BY x.starts_on DESC LIMIT 1), 'charge') AS mode
) m
CROSS JOIN LATERAL (
    SELECT coalesce(sum(x.attempts), 0)::bigint AS held
    FROM ota_upgrades x
    WHERE x.device_id = d.id AND x.month_on = t.month_on AND x.state IN ('reserved', 'completed')
) u
LEFT JOIN LATERAL (
    SELECT g.ota_per_month
    FROM product_packages h
    JOIN packages g ON g.id = h.package_id
    WHERE h.product_id = p.id
    ORDER BY h.counts_from <= %(now)s DESC, CASE WHEN h.counts_from <= %(now)s THEN -h.ordinal ELSE h.ordinal END
    LIMIT 1
) k ON true
WHERE d.id = %(device_id)s;

-- latest --
-- The upgrade of a device with a firmware that a fetch of it would go on with or take up: what is under way, else what is
-- offered, else the last one.
SELECT u.id, u.state, u.sent, u.ended_at
FROM ota_upgrades u
WHERE u.device_id = %(device_id)s AND u.firmware_id = %(firmware_id)s
ORDER BY u.state = 'reserved' DESC, u.state = 'offered' DESC, u.began_at DESC, u.ended_at DESC, u.id
LIMIT 1;

-- insert_reserved --
-- A new upgrade under way; its attempts are held (F3).
INSERT INTO ota_upgrades (device_id, product_id, firmware_id, bytes, sent, attempts, state, month_on, began_at, moved_at,
                          reserved_at)
VALUES (%(device_id)s, %(product_id)s, %(firmware_id)s, %(bytes)s, 0, %(attempts)s, 'reserved', %(month_on)s, %(now)s,
        %(now)s, %(now)s)
RETURNING id;

-- take_up --
-- What was offered is under way: one row, or it was withdrawn or taken up meanwhile.
UPDATE ota_upgrades
SET state = 'reserved', bytes = %(bytes)s, attempts = %(attempts)s, month_on = %(month_on)s, moved_at = %(now)s,
    reserved_at = %(now)s
WHERE id = %(id)s AND state = 'offered';

-- end_upgrade --
-- What was under way has ended, with the bytes it came to: one row, or somebody was first.
UPDATE ota_upgrades
SET state = %(state)s, bytes = coalesce(%(bytes)s::bigint, bytes), attempts = coalesce(%(attempts)s::integer, attempts),
    moved_at = %(now)s, ended_at = %(now)s
WHERE id = %(id)s AND state = 'reserved';

-- add_sent --
-- So many more bytes of it were sent.
UPDATE ota_upgrades SET sent = sent + %(sent)s, moved_at = %(now)s WHERE id = %(id)s;

-- fail_idle --
-- Upgrades under way that have not moved since are failed, and so released: at most so many at a time. Returned: which.
WITH idle AS (
    SELECT u.id FROM ota_upgrades u
    WHERE u.state = 'reserved' AND u.moved_at <= %(since)s
    ORDER BY u.moved_at
    LIMIT %(most)s
    FOR NO KEY UPDATE SKIP LOCKED
), failed AS (
    UPDATE ota_upgrades SET state = 'failed', ended_at = %(now)s
    WHERE id IN (SELECT i.id FROM idle i)
    RETURNING id, device_id, product_id
)
SELECT p.account_id, p.product_key, d.device_key, f.id
FROM failed f
JOIN products p ON p.id = f.product_id
JOIN devices d ON d.id = f.device_id
ORDER BY p.id, d.device_key, f.id;

-- page --
-- Upgrades, the latest first, with what each comes to: the attempts of a month are drawn from its allowance in the order
-- of their completion, and then, for now, those under way in the order of their start (F2). Deleted devices' too.
SELECT u.id, u.account_id, u.product_key, d.device_key, u.campaign_id, u.firmware_id, u.state, u.bytes, u.sent,
       u.attempts, coalesce(k.ota_per_month, 0),
       CASE WHEN u.state NOT IN ('reserved', 'completed') THEN 0
            WHEN d.virtual THEN u.attempts
            ELSE greatest(0, least(u.attempts, coalesce(k.ota_per_month, 0) - b.held)) END AS covered,
       u.began_at, u.reserved_at, u.ended_at
FROM (SELECT v.id, v.device_id, p.id AS product_id, v.campaign_id, v.firmware_id, v.state, v.bytes, v.sent, v.attempts,
             v.month_on, v.began_at, v.reserved_at, v.ended_at, p.account_id, p.product_key, a.time_zone
      FROM products p
      JOIN accounts a ON a.id = p.account_id
      CROSS JOIN LATERAL (
          SELECT x.id, x.device_id, x.campaign_id, x.firmware_id, x.state, x.bytes, x.sent, x.attempts, x.month_on,
                 x.began_at, x.reserved_at, x.ended_at
          FROM ota_upgrades x
          WHERE x.product_id = p.id
            AND (%(id)s::text IS NULL OR x.id = %(id)s)
            AND (%(device_key)s::text IS NULL
                 OR x.device_id = (SELECT e.id FROM devices e WHERE e.product_id = p.id AND e.device_key = %(device_key)s))
            AND (%(campaign_id)s::text IS NULL OR x.campaign_id = %(campaign_id)s)
            AND (%(state)s::text IS NULL OR x.state = %(state)s)
            AND (%(after_at)s::timestamptz IS NULL OR (x.began_at, x.id) < (%(after_at)s, %(after_id)s::text))
          ORDER BY x.began_at DESC, x.id DESC
          LIMIT %(limit)s
      ) v
      WHERE (%(account_id)s::text IS NULL OR p.account_id = %(account_id)s)
        AND (%(product_key)s::text IS NULL OR p.product_key = %(product_key)s)
        AND (%(id)s::text IS NULL OR p.id = (SELECT y.product_id FROM ota_upgrades y WHERE y.id = %(id)s))
      ORDER BY v.began_at DESC, v.id DESC
      LIMIT %(limit)s) u
JOIN devices d ON d.id = u.device_id
LEFT JOIN LATERAL (
    SELECT g.ota_per_month
    FROM product_packages h
    JOIN packages g ON g.id = h.package_id
    CROSS JOIN (SELECT least(%(now)s::timestamptz, ((u.month_on + interval '1 month') AT TIME ZONE u.time_zone)
                                                   - interval '1 microsecond') AS at) c
    WHERE h.product_id = u.product_id
    ORDER BY h.counts_from <= c.at DESC, CASE WHEN h.counts_from <= c.at THEN -h.ordinal ELSE h.ordinal END
    LIMIT 1
) k ON true
CROSS JOIN LATERAL (
    SELECT coalesce(sum(y.attempts), 0)::bigint AS held
    FROM ota_upgrades y
    WHERE y.device_id = u.device_id AND y.month_on = u.month_on
      AND ((y.state = 'completed' AND (u.state = 'reserved' OR (y.ended_at, y.id) < (u.ended_at, u.id)))
           OR (y.state = 'reserved' AND u.state = 'reserved' AND (y.reserved_at, y.id) < (u.reserved_at, u.id)))
) b
ORDER BY u.began_at DESC, u.id DESC;

-- ota_used --
-- Attempts charged, covered and in excess (F2, F3), on days in [first, last], by day or month: of an account, a product,
-- or all. An attempt belongs to the month it was reserved in, and if it was completed after that had ended, to its last
-- day: so days come to their month. By 'total' or 'product', the first day first; by 'device' (of all, or of these)
-- device by device, with what a month allows. What deleted devices and products used is in it.
WITH charged AS (
    SELECT u.id, u.device_id, u.product_id, u.month_on, u.bytes, u.attempts, p.product_key, a.time_zone,
           least((u.ended_at AT TIME ZONE a.time_zone)::date, (u.month_on + interval '1 month' - interval '1 day')::date)
               AS used_on,
           sum(u.attempts) OVER (PARTITION BY u.device_id, u.month_on ORDER BY u.ended_at, u.id) AS held
    FROM ota_upgrades u
    JOIN products p ON p.id = u.product_id
    JOIN accounts a ON a.id = p.account_id
    WHERE u.state = 'completed'
      AND u.month_on BETWEEN date_trunc('month', %(first)s::timestamp)::date AND %(last)s
      AND (%(account_id)s::text IS NULL OR p.account_id = %(account_id)s)
      AND (%(product_key)s::text IS NULL OR p.product_key = %(product_key)s)
      AND (%(device_ids)s::bigint[] IS NULL OR u.device_id = ANY (%(device_ids)s))
), drawn AS (
    SELECT date_trunc(%(by)s, c.used_on::timestamp)::date AS on_date,
           CASE WHEN %(whose)s = 'device' THEN c.product_id ELSE 0 END AS product_id,
           CASE WHEN %(whose)s = 'total' THEN '' ELSE c.product_key END AS product_key,
           CASE WHEN %(whose)s = 'device' THEN d.device_key ELSE '' END AS device_key,
           CASE WHEN %(whose)s = 'device' AND NOT d.virtual THEN coalesce(k.ota_per_month, 0) END AS allowance,
           c.bytes, c.attempts,
           CASE WHEN d.virtual THEN c.attempts
                ELSE greatest(0, least(c.attempts, coalesce(k.ota_per_month, 0) - c.held + c.attempts)) END AS covered
    FROM charged c
    JOIN devices d ON d.id = c.device_id
    LEFT JOIN LATERAL (
        SELECT g.ota_per_month
        FROM product_packages h
        JOIN packages g ON g.id = h.package_id
        CROSS JOIN (SELECT least(%(now)s::timestamptz, ((c.month_on + interval '1 month') AT TIME ZONE c.time_zone)
                                                       - interval '1 microsecond') AS at) t
        WHERE h.product_id = c.product_id
        ORDER BY h.counts_from <= t.at DESC, CASE WHEN h.counts_from <= t.at THEN -h.ordinal ELSE h.ordinal END
        LIMIT 1
    ) k ON true
    WHERE c.used_on BETWEEN %(first)s AND %(last)s
)
SELECT r.on_date, r.product_id, r.product_key, r.device_key, count(*), sum(r.bytes)::bigint, sum(r.covered)::bigint,
       sum(r.attempts - r.covered)::bigint, max(r.allowance)
FROM drawn r
WHERE (r.on_date, r.product_key) > (%(after_on)s::date, %(after_key)s::text)
GROUP BY r.on_date, r.product_id, r.product_key, r.device_key
ORDER BY r.product_id, r.device_key, r.on_date, r.product_key
LIMIT %(limit)s::bigint;
