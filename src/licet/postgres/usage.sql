-- know_stream --
-- The stream is known, from its beginning.
INSERT INTO message_streams (stream, claimed_sequence) VALUES (%(stream)s, 0)
ON CONFLICT ON CONSTRAINT message_streams_pkey DO NOTHING;

-- lock_stream --
-- How far the stream was claimed; held until the transaction ends.
SELECT s.claimed_sequence FROM message_streams s WHERE s.stream = %(stream)s FOR UPDATE;

-- set_claimed_sequence --
-- Everything up to here was claimed.
UPDATE message_streams SET claimed_sequence = %(claimed_sequence)s WHERE stream = %(stream)s;

-- insert_claim --
-- These messages are for one reader to count.
INSERT INTO message_claims (stream, first_sequence, last_sequence, claimed_by, claimed_at)
VALUES (%(stream)s, %(first_sequence)s, %(last_sequence)s, %(claimed_by)s, %(now)s);

-- take_over --
-- One claim that its reader has had for too long, or that is this reader's own from before, now (again) this reader's.
UPDATE message_claims
SET claimed_by = %(claimed_by)s, claimed_at = %(now)s
WHERE (stream, first_sequence) = (
    SELECT c.stream, c.first_sequence
    FROM message_claims c
    WHERE c.stream = %(stream)s AND (c.claimed_at < %(stale)s OR c.claimed_by = %(claimed_by)s)
    ORDER BY c.first_sequence
    LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING first_sequence, last_sequence;

-- finish_claim --
-- The claim's messages are counted, in this transaction: one row, or somebody was first.
DELETE FROM message_claims WHERE stream = %(stream)s AND first_sequence = %(first_sequence)s;

-- behind --
-- Of each stream: how far it was claimed, and the first message that was claimed and is not counted.
SELECT s.stream, s.claimed_sequence, (SELECT min(c.first_sequence) FROM message_claims c WHERE c.stream = s.stream)
FROM message_streams s
ORDER BY s.stream;

-- counted_on --
-- All of one instant: what was counted of a day of the accounts' calendars, device by device, less what was reported from
-- outside and was never in a stream; which products there are,
-- and in which time zones; how far each stream was claimed; and which claims were not counted yet.
SELECT 'device', p.product_key, d.device_key, sum(u.up)::bigint, sum(u.down)::bigint
FROM (SELECT c.device_id, c.up, c.down FROM message_counts c WHERE c.used_on = %(on)s
      UNION ALL
      SELECT m.device_id, m.up, m.down FROM message_deltas m WHERE m.used_on = %(on)s
      UNION ALL
      SELECT r.device_id, -r.up, -r.down FROM reported_messages r WHERE r.used_on = %(on)s) u
JOIN devices d ON d.id = u.device_id
JOIN products p ON p.id = d.product_id
WHERE %(account_id)s::text IS NULL OR p.account_id = %(account_id)s
GROUP BY p.product_key, d.device_key
HAVING sum(u.up) <> 0 OR sum(u.down) <> 0
UNION ALL
SELECT 'product', p.product_key, a.time_zone, 0, 0
FROM products p
JOIN accounts a ON a.id = p.account_id
WHERE %(account_id)s::text IS NULL OR p.account_id = %(account_id)s
UNION ALL
SELECT 'stream', s.stream, '', 0, s.claimed_sequence FROM message_streams s
UNION ALL
SELECT 'claim', c.stream, '', c.first_sequence, c.last_sequence FROM message_claims c;

-- devices_named --
-- The ids of devices and of their products, and whether they are virtual, by their place among the names that were asked
-- about; deleted ones, too.
SELECT t.place - 1, d.id, p.id, d.virtual
FROM unnest(%(product_keys)b::text[], %(device_keys)b::text[]) WITH ORDINALITY AS t (product_key, device_key, place)
JOIN products p ON p.product_key = t.product_key
JOIN devices d ON d.product_id = p.id AND d.device_key = t.device_key;

-- days_of --
-- The day of the product's account's calendar in which a slot lies, in the order asked; a slot is a quarter of an hour
-- (UTC), and lies in one day of any calendar.
SELECT (to_timestamp(t.slot * 900.0) AT TIME ZONE a.time_zone)::date
FROM unnest(%(product_ids)b::integer[], %(slots)b::bigint[]) WITH ORDINALITY AS t (product_id, slot, place)
JOIN products p ON p.id = t.product_id
JOIN accounts a ON a.id = p.account_id
ORDER BY t.place;

-- add_to_products --
-- Messages that products' devices used, and bytes that are stored of them, by day: besides what there is already.
WITH told AS (
    SELECT t.on_date, t.product_id, sum(t.messages)::bigint AS messages, sum(t.bytes)::bigint AS bytes
    FROM unnest(%(days)s::date[], %(product_ids)b::integer[], %(messages)b::bigint[], %(bytes)b::bigint[])
             AS t (on_date, product_id, messages, bytes)
    GROUP BY t.product_id, t.on_date
), stored AS (
    INSERT INTO stored_bytes (stored_on, product_id, bytes)
    SELECT t.on_date, t.product_id, t.bytes
    FROM told t
    WHERE t.bytes > 0
    ORDER BY t.product_id, t.on_date
    ON CONFLICT ON CONSTRAINT stored_bytes_pkey DO UPDATE SET bytes = stored_bytes.bytes + excluded.bytes
)
INSERT INTO product_days (used_on, product_id, messages)
SELECT t.on_date, t.product_id, t.messages
FROM told t
WHERE t.messages > 0
ORDER BY t.product_id, t.on_date
ON CONFLICT ON CONSTRAINT product_days_pkey DO UPDATE SET messages = product_days.messages + excluded.messages;

-- quarantine --
-- Use that no device of ours can be named for.
INSERT INTO quarantine (at, source, reason, reported)
SELECT %(now)s, t.source, t.reason, t.reported::jsonb
FROM unnest(%(sources)b::text[], %(reasons)b::text[], %(reported)b::text[]) AS t (source, reason, reported);

-- quarantined --
-- What is in quarantine, the latest first.
SELECT q.id, q.at, q.source, q.reason, q.reported
FROM quarantine q
WHERE %(after)s::bigint IS NULL OR q.id < %(after)s
ORDER BY q.id DESC
LIMIT %(limit)s;

-- days_to_fold --
-- The days that deltas wait for.
SELECT DISTINCT d.used_on FROM message_deltas d ORDER BY d.used_on;

-- fold --
-- Deltas of these days become the day's counters, each once: so many of them at a time; deltas of other days, that came
-- meanwhile, wait for the next time, when there is a partition for them. Only one transaction folds at a time. Returned:
-- devices whose use went past 70, 90 or 100 per cent of that day's allowance by this, and all that are beyond it of
-- accounts that block; with the account's mode on that day, the day's end, and the use before and after. A virtual device
-- has no allowance to exceed.
WITH taken AS (
    DELETE FROM message_deltas
    WHERE ctid = ANY (ARRAY(SELECT d.ctid FROM message_deltas d WHERE d.used_on = ANY (%(days)b::date[]) LIMIT %(most)s))
    RETURNING used_on, device_id, up, down
), tallied AS (
    SELECT t.used_on, t.device_id, least(sum(t.up), 1000000000)::integer AS up, least(sum(t.down), 1000000000)::integer AS down
    FROM taken t
    GROUP BY t.used_on, t.device_id
), folded AS (
    INSERT INTO message_counts AS c (used_on, device_id, up, down)
    SELECT t.used_on, t.device_id, t.up, t.down
    FROM tallied t
    ORDER BY t.used_on, t.device_id
    ON CONFLICT (used_on, device_id) DO UPDATE
        SET up = least(c.up + excluded.up, 1000000000), down = least(c.down + excluded.down, 1000000000)
    RETURNING used_on, device_id, up + down AS used
), near AS MATERIALIZED (
    -- Most are far below any allowance, or far above: only of the others is asked what theirs is.
    SELECT f.used_on, f.device_id, f.used::bigint AS used, (f.used - t.up - t.down)::bigint AS before
    FROM folded f
    JOIN tallied t ON t.used_on = f.used_on AND t.device_id = f.device_id
    CROSS JOIN (SELECT min(g.messages_per_day) AS least, max(g.messages_per_day) AS most,
                       EXISTS (SELECT FROM account_modes x WHERE x.mode = 'block') AS any_blocks
                FROM packages g) g
    WHERE f.used::bigint * 100 >= %(first_percent)s::bigint * g.least
      AND (f.used - t.up - t.down < g.most OR g.any_blocks)
), whose AS MATERIALIZED (
    SELECT n.used_on, n.device_id, n.used, n.before, d.device_key, d.product_id
    FROM near n
    JOIN devices d ON d.id = n.device_id
    WHERE NOT d.virtual
), allowed AS MATERIALIZED (
    SELECT p.id AS product_id, p.product_key, p.account_id, t.used_on, k.messages_per_day,
           ((t.used_on + 1)::timestamp AT TIME ZONE a.time_zone) AS ends_at,
           coalesce((SELECT x.mode FROM account_modes x
                     WHERE x.account_id = a.id AND x.starts_on <= t.used_on
                     ORDER BY x.starts_on DESC LIMIT 1), 'charge') AS mode
    FROM (SELECT DISTINCT w.product_id, w.used_on FROM whose w) t
    JOIN products p ON p.id = t.product_id
    JOIN accounts a ON a.id = p.account_id
    CROSS JOIN LATERAL (
        SELECT g.messages_per_day
        FROM product_packages h
        JOIN packages g ON g.id = h.package_id
        WHERE h.product_id = p.id
        ORDER BY h.counts_from <= (t.used_on::timestamp AT TIME ZONE a.time_zone) DESC,
                 CASE WHEN h.counts_from <= (t.used_on::timestamp AT TIME ZONE a.time_zone)
                      THEN -h.ordinal ELSE h.ordinal END
        LIMIT 1
    ) k
)
SELECT k.account_id, k.product_key, w.device_id, w.device_key, w.used_on, k.mode, k.ends_at, w.before, w.used,
       k.messages_per_day
FROM whose w
JOIN allowed k ON k.product_id = w.product_id AND k.used_on = w.used_on
WHERE EXISTS (SELECT FROM unnest(%(percents)s::integer[]) AS c (percent)
              WHERE w.before * 100 < c.percent::bigint * k.messages_per_day
                AND w.used * 100 >= c.percent::bigint * k.messages_per_day)
   OR (k.mode = 'block' AND w.used > k.messages_per_day)
ORDER BY k.product_id, w.device_key;

-- cut_off --
-- Devices are cut off until the day ends; those that are already are passed over, those that were let back in are not.
INSERT INTO cut_offs (device_id, cut_on, ends_at)
SELECT t.device_id, t.cut_on, t.ends_at
FROM unnest(%(device_ids)b::bigint[], %(days)s::date[], %(ends_at)s::timestamptz[]) AS t (device_id, cut_on, ends_at)
ORDER BY t.device_id
ON CONFLICT ON CONSTRAINT cut_offs_pkey
DO UPDATE SET ends_at = excluded.ends_at WHERE cut_offs.ends_at < excluded.ends_at
RETURNING device_id;

-- let_back_in --
-- Devices of an account that are cut off are so no longer.
UPDATE cut_offs
SET ends_at = %(now)s
WHERE ends_at > %(now)s
  AND device_id IN (SELECT d.id FROM devices d JOIN products p ON p.id = d.product_id WHERE p.account_id = %(account_id)s);

-- messages_used --
-- Messages used, covered and in excess (E2, E4), on these days, by day or month: of an account, a product, or all; with
-- what is not folded yet. By 'total' or 'product': whose they are comes back as well. What deleted devices and products
-- used is in it.
WITH own AS (
    SELECT p.id, p.product_key, a.time_zone
    FROM products p
    JOIN accounts a ON a.id = p.account_id
    WHERE (%(account_id)s::text IS NULL OR p.account_id = %(account_id)s)
      AND (%(product_key)s::text IS NULL OR p.product_key = %(product_key)s)
), allowed AS (
    SELECT o.id, o.product_key, t.used_on, k.messages_per_day
    FROM own o
    CROSS JOIN unnest(%(days)s::date[]) AS t (used_on)
    LEFT JOIN LATERAL (
        SELECT g.messages_per_day
        FROM product_packages h
        JOIN packages g ON g.id = h.package_id
        WHERE h.product_id = o.id
        ORDER BY h.counts_from <= (t.used_on::timestamp AT TIME ZONE o.time_zone) DESC,
                 CASE WHEN h.counts_from <= (t.used_on::timestamp AT TIME ZONE o.time_zone)
                      THEN -h.ordinal ELSE h.ordinal END
        LIMIT 1
    ) k ON true
), used AS (
    SELECT u.used_on, u.product_id, u.virtual, sum(u.up)::bigint AS up, sum(u.down)::bigint AS down
    FROM (SELECT c.used_on, d.id, d.product_id, d.virtual, c.up, c.down
          FROM unnest(%(days)s::date[]) AS t (used_on)
          CROSS JOIN own o
          JOIN devices d ON d.product_id = o.id
          JOIN message_counts c ON c.used_on = t.used_on AND c.device_id = d.id
          WHERE c.used_on BETWEEN %(first)s AND %(last)s
          UNION ALL
          SELECT m.used_on, d.id, d.product_id, d.virtual, m.up, m.down
          FROM own o
          JOIN devices d ON d.product_id = o.id
          JOIN message_deltas m ON m.device_id = d.id
          WHERE m.used_on BETWEEN %(first)s AND %(last)s) u
    GROUP BY u.used_on, u.id, u.product_id, u.virtual
), drawn AS (
    SELECT date_trunc(%(by)s, w.used_on::timestamp)::date AS on_date,
           CASE WHEN %(whose)s = 'product' THEN w.product_key ELSE '' END AS product_key,
           u.up, u.down,
           CASE WHEN u.virtual THEN u.up + u.down ELSE least(u.up + u.down, w.messages_per_day) END AS covered
    FROM used u
    JOIN allowed w ON w.id = u.product_id AND w.used_on = u.used_on
)
SELECT r.on_date, r.product_key, sum(r.up)::bigint, sum(r.down)::bigint, sum(r.covered)::bigint,
       sum(r.up + r.down - r.covered)::bigint
FROM drawn r
WHERE (r.on_date, r.product_key) > (%(after_on)s::date, %(after_key)s::text)
GROUP BY r.on_date, r.product_key
ORDER BY r.on_date, r.product_key
LIMIT %(limit)s;

-- messages_used_by --
-- The same of each of these devices on these days, device by device; by day also what that day allowed it. Whatever else
-- is in the books, this looks at so many devices and days.
WITH used AS (
    SELECT u.device_id, u.used_on, sum(u.up)::bigint AS up, sum(u.down)::bigint AS down
    FROM (SELECT c.device_id, c.used_on, c.up, c.down
          FROM unnest(%(device_ids)s::bigint[]) AS i (device_id)
          CROSS JOIN unnest(%(days)s::date[]) AS t (used_on)
          JOIN message_counts c ON c.used_on = t.used_on AND c.device_id = i.device_id
          WHERE c.used_on BETWEEN %(first)s AND %(last)s
          UNION ALL
          SELECT m.device_id, m.used_on, m.up, m.down
          FROM unnest(%(device_ids)s::bigint[]) AS i (device_id)
          JOIN message_deltas m ON m.device_id = i.device_id
          WHERE m.used_on BETWEEN %(first)s AND %(last)s) u
    GROUP BY u.device_id, u.used_on
), drawn AS (
    SELECT p.id, p.product_key, d.device_key, date_trunc(%(by)s, u.used_on::timestamp)::date AS on_date, u.up, u.down,
           CASE WHEN d.virtual THEN u.up + u.down ELSE least(u.up + u.down, k.messages_per_day) END AS covered,
           CASE WHEN %(by)s = 'day' AND NOT d.virtual THEN k.messages_per_day END AS allowance
    FROM used u
    JOIN devices d ON d.id = u.device_id
    JOIN products p ON p.id = d.product_id
    JOIN accounts a ON a.id = p.account_id
    LEFT JOIN LATERAL (
        SELECT g.messages_per_day
        FROM product_packages h
        JOIN packages g ON g.id = h.package_id
        WHERE h.product_id = p.id
        ORDER BY h.counts_from <= (u.used_on::timestamp AT TIME ZONE a.time_zone) DESC,
                 CASE WHEN h.counts_from <= (u.used_on::timestamp AT TIME ZONE a.time_zone)
                      THEN -h.ordinal ELSE h.ordinal END
        LIMIT 1
    ) k ON true
)
SELECT w.on_date, w.product_key, w.device_key, sum(w.up)::bigint, sum(w.down)::bigint, sum(w.covered)::bigint,
       sum(w.up + w.down - w.covered)::bigint, max(w.allowance), w.id
FROM drawn w
GROUP BY w.id, w.product_key, w.device_key, w.on_date
ORDER BY w.id, w.device_key, w.on_date;

-- messages_allowed --
-- What a day allows a device (E2); no row for a virtual one, and none where there never was a package.
SELECT g.messages_per_day
FROM devices d
JOIN products p ON p.id = d.product_id
JOIN accounts a ON a.id = p.account_id
JOIN product_packages h ON h.product_id = p.id
JOIN packages g ON g.id = h.package_id
WHERE d.id = %(device_id)s AND NOT d.virtual
ORDER BY h.counts_from <= (%(used_on)s::date::timestamp AT TIME ZONE a.time_zone) DESC,
         CASE WHEN h.counts_from <= (%(used_on)s::date::timestamp AT TIME ZONE a.time_zone)
              THEN -h.ordinal ELSE h.ordinal END
LIMIT 1;

-- whose --
-- Whose a product is, and the id of a device of it; what is deleted is found as well, for what it used stays.
SELECT p.account_id, d.id
FROM products p
LEFT JOIN devices d ON d.product_id = p.id AND d.device_key = %(device_key)s
WHERE p.product_key = %(product_key)s;

-- fleet --
-- Devices of an account, or of all, product by product and by key; also deleted ones, for what they used stays.
SELECT d.id, p.id, d.device_key
FROM (SELECT q.id
      FROM products q
      WHERE q.id >= %(after_product)s
        AND (%(account_id)s::text IS NULL OR q.account_id = %(account_id)s)
        AND (%(product_key)s::text IS NULL OR q.product_key = %(product_key)s)) p
CROSS JOIN LATERAL (
    SELECT e.id, e.device_key
    FROM devices e
    WHERE e.product_id = p.id
      AND e.device_key > CASE WHEN p.id = %(after_product)s THEN %(after_key)s::text ELSE '' END
    ORDER BY e.device_key
    LIMIT %(limit)s
) d
ORDER BY p.id, d.device_key
LIMIT %(limit)s;
