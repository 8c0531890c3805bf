-- set_keep --
-- From that day of its account's calendar on, a product's messages are kept for so many days (E5); what was set for later
-- days goes.
WITH gone AS (
    DELETE FROM product_keeps WHERE product_id = %(product_id)s AND starts_on > %(starts_on)s
)
INSERT INTO product_keeps (product_id, starts_on, keep_days, set_at, set_by)
VALUES (%(product_id)s, %(starts_on)s, %(keep_days)s, %(now)s, %(set_by)s)
ON CONFLICT ON CONSTRAINT product_keeps_pkey
    DO UPDATE SET keep_days = excluded.keep_days, set_at = excluded.set_at, set_by = excluded.set_by;

-- keeps --
-- For how many days a product's messages are kept, since when on: the latest first.
SELECT k.starts_on, k.keep_days, k.set_at, k.set_by
FROM product_keeps k
WHERE k.product_id = %(product_id)s
ORDER BY k.starts_on DESC;

-- days_kept --
-- Of each product that is not deleted (or of one): how many days its messages are kept on that day of its account's
-- calendar: as many as the package grants that counts then, or more. Its own row goes before what was set for later.
SELECT p.id, p.product_key, (%(now)s::timestamptz AT TIME ZONE a.time_zone)::date, coalesce(g.storage_days, 0),
       greatest(coalesce(g.storage_days, 0), coalesce(k.keep_days, 0))
FROM products p
JOIN accounts a ON a.id = p.account_id
LEFT JOIN LATERAL (
    SELECT c.storage_days
    FROM product_packages h
    JOIN packages c ON c.id = h.package_id
    WHERE h.product_id = p.id
    ORDER BY h.counts_from <= %(now)s::timestamptz DESC, CASE WHEN h.counts_from <= %(now)s THEN -h.ordinal ELSE h.ordinal END
    LIMIT 1
) g ON true
LEFT JOIN LATERAL (
    SELECT x.keep_days
    FROM product_keeps x
    WHERE x.product_id = p.id AND x.starts_on <= (%(now)s::timestamptz AT TIME ZONE a.time_zone)::date
    ORDER BY x.starts_on DESC
    LIMIT 1
) k ON true
WHERE p.deleted_at IS NULL AND (%(product_key)s::text IS NULL OR p.product_key = %(product_key)s)
ORDER BY p.id;

-- due --
-- Of products with these instants: those in whose time since their last purge anything was stored, and of which more than
-- so long is due, the longest overdue first.
SELECT p.id, p.product_key, t.until
FROM unnest(%(product_ids)s::integer[], %(untils)s::timestamptz[]) AS t (product_id, until)
JOIN products p ON p.id = t.product_id
JOIN accounts a ON a.id = p.account_id
LEFT JOIN storage_purges u ON u.product_id = p.id
WHERE t.until - coalesce(u.purged_until, p.created_at) > %(every)s::interval
  AND EXISTS (SELECT FROM stored_bytes s
              WHERE s.product_id = p.id
                AND s.stored_on >= (coalesce(u.purged_until, p.created_at) AT TIME ZONE a.time_zone)::date
                AND s.stored_on <= (t.until AT TIME ZONE a.time_zone)::date)
ORDER BY u.purged_until NULLS FIRST, p.id
LIMIT %(most)s;

-- deleted --
-- Products that were deleted, and whose messages were not purged since everything was over.
SELECT p.id, p.product_key
FROM products p
LEFT JOIN storage_purges u ON u.product_id = p.id
WHERE p.deleted_at IS NOT NULL AND (u.purged_until IS NULL OR u.purged_until < p.deleted_at + %(over)s::interval)
ORDER BY p.id
LIMIT %(most)s;

-- purged --
-- Everything of these products from before these instants is gone.
INSERT INTO storage_purges (product_id, purged_until)
SELECT t.product_id, t.until
FROM unnest(%(product_ids)s::integer[], %(untils)s::timestamptz[]) AS t (product_id, until)
ORDER BY t.product_id
ON CONFLICT ON CONSTRAINT storage_purges_pkey
    DO UPDATE SET purged_until = greatest(storage_purges.purged_until, excluded.purged_until);

-- storage_used --
-- Bytes kept, by product and day in [first, last] that has begun; what of it goes beyond the days granted on that day;
-- and what was stored on it (E5). Of a day d so much is kept on D as no day up to D let go: d >= D' - kept(D') for all of
-- them. Rounded up to whole MiB once, per product and day.
WITH asked AS (
    SELECT p.id, p.product_key, a.time_zone, (p.deleted_at AT TIME ZONE a.time_zone)::date AS deleted_on,
           (%(now)s::timestamptz AT TIME ZONE a.time_zone)::date AS today,
           greatest((SELECT max(c.storage_days) FROM product_packages h JOIN packages c ON c.id = h.package_id
                     WHERE h.product_id = p.id),
                    (SELECT max(x.keep_days) FROM product_keeps x WHERE x.product_id = p.id), 0) AS most_days
    FROM products p
    JOIN accounts a ON a.id = p.account_id
    WHERE (%(account_id)s::text IS NULL OR p.account_id = %(account_id)s)
      AND (%(product_key)s::text IS NULL OR p.product_key = %(product_key)s)
      AND EXISTS (SELECT FROM stored_bytes s WHERE s.product_id = p.id AND s.stored_on <= %(last)s::date)
), days AS (
    SELECT q.id, d.on_date::date AS on_date, coalesce(g.storage_days, 0) AS granted,
           greatest(coalesce(g.storage_days, 0), coalesce(k.keep_days, 0)) AS kept
    FROM asked q
    CROSS JOIN LATERAL generate_series((%(first)s::date - q.most_days)::timestamp,
                                       least(%(last)s::date, q.today, q.deleted_on)::timestamp, '1 day') AS d (on_date)
    LEFT JOIN LATERAL (
        SELECT c.storage_days
        FROM product_packages h
        JOIN packages c ON c.id = h.package_id
        WHERE h.product_id = q.id
        ORDER BY h.counts_from <= (d.on_date AT TIME ZONE q.time_zone) DESC,
                 CASE WHEN h.counts_from <= (d.on_date AT TIME ZONE q.time_zone) THEN -h.ordinal ELSE h.ordinal END
        LIMIT 1
    ) g ON true
    LEFT JOIN LATERAL (
        SELECT x.keep_days
        FROM product_keeps x
        WHERE x.product_id = q.id AND x.starts_on <= d.on_date::date
        ORDER BY x.starts_on DESC
        LIMIT 1
    ) k ON true
), let_go AS (
    SELECT y.id, y.on_date, y.granted, max(y.on_date - y.kept) OVER (PARTITION BY y.id ORDER BY y.on_date) AS kept_from
    FROM days y
), summed AS (
    SELECT l.id, l.on_date,
           sum(s.bytes) FILTER (WHERE s.stored_on = l.on_date) AS stored,
           sum(s.bytes) AS used,
           sum(s.bytes) FILTER (WHERE s.stored_on < l.on_date - l.granted) AS excess
    FROM let_go l
    JOIN stored_bytes s ON s.product_id = l.id AND s.stored_on BETWEEN l.kept_from AND l.on_date
    WHERE l.on_date >= %(first)s
    GROUP BY l.id, l.on_date
), told AS (
    SELECT date_trunc(%(by)s, w.on_date::timestamp)::date AS on_date,
           CASE WHEN %(whose)s <> 'total' THEN q.product_key END AS product_key,
           sum(coalesce(w.stored, 0))::bigint AS stored_bytes,
           sum(w.used)::bigint AS kept_bytes,
           sum(ceil(w.used / 1048576.0) - ceil(coalesce(w.excess, 0) / 1048576.0))::bigint AS covered,
           sum(ceil(coalesce(w.excess, 0) / 1048576.0))::bigint AS excess
    FROM summed w
    JOIN asked q ON q.id = w.id
    GROUP BY 1, 2
)
SELECT t.on_date, t.product_key, t.stored_bytes, t.kept_bytes, t.covered, t.excess
FROM told t
WHERE (t.on_date, coalesce(t.product_key, '')) > (%(after_on)s::date, %(after_key)s::text)
ORDER BY t.on_date, t.product_key
LIMIT %(limit)s::integer;
