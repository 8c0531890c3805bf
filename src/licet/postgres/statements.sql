-- lock_accounts --
-- Hold these accounts until the transaction ends, in the order of their ids.
SELECT a.id, a.time_zone
FROM accounts a
WHERE a.id = ANY (%(account_ids)s::text[])
ORDER BY a.id
FOR NO KEY UPDATE;

-- due --
-- Of these accounts, or of all, some with a month that is over and not closed: the first such month of each. A month is
-- over at the first midnight of the next one in the account's calendar (G1).
SELECT a.id, a.time_zone, n.month_on
FROM accounts a
CROSS JOIN LATERAL (
    SELECT coalesce((SELECT (s.month_on + interval '1 month')::date FROM statements s
                     WHERE s.account_id = a.id ORDER BY s.month_on DESC LIMIT 1),
                    date_trunc('month', a.opened_at AT TIME ZONE a.time_zone)::date) AS month_on
) n
WHERE (%(account_ids)s::text[] IS NULL OR a.id = ANY (%(account_ids)s))
  AND ((n.month_on + interval '1 month') AT TIME ZONE a.time_zone) <= %(now)s
ORDER BY n.month_on, a.time_zone, a.id
LIMIT %(most)s;

-- months_due --
-- How many months of these accounts, or of all, are over and not closed, up to one month.
SELECT count(*)
FROM accounts a
CROSS JOIN LATERAL (
    SELECT coalesce((SELECT (s.month_on + interval '1 month')::date FROM statements s
                     WHERE s.account_id = a.id ORDER BY s.month_on DESC LIMIT 1),
                    date_trunc('month', a.opened_at AT TIME ZONE a.time_zone)::date) AS month_on
) n
CROSS JOIN LATERAL generate_series(n.month_on::timestamp, least(%(through)s::date, %(now)s::timestamptz::date),
                                   interval '1 month') AS m (month_on)
WHERE (%(account_ids)s::text[] IS NULL OR a.id = ANY (%(account_ids)s))
  AND ((m.month_on + interval '1 month') AT TIME ZONE a.time_zone) <= %(now)s;

-- insert_parts_of_messages --
-- What these accounts' devices used beyond their allowances in [first, last] (E2, E4), which is a month of the accounts'
-- calendars, in one zone, and what is not on any statement of it yet; with what is counted and not folded yet. A virtual
-- device is never in excess. Returned: what it comes to, by account.
WITH allowed AS (
    SELECT p.id AS product_id, p.account_id, g.day::date AS used_on, k.messages_per_day
    FROM products p
    CROSS JOIN generate_series(%(first)s::timestamp, %(last)s::timestamp, interval '1 day') AS g (day)
    CROSS JOIN LATERAL (
        SELECT x.messages_per_day
        FROM product_packages h
        JOIN packages x ON x.id = h.package_id
        WHERE h.product_id = p.id
        ORDER BY h.counts_from <= (g.day AT TIME ZONE %(time_zone)s) DESC,
                 CASE WHEN h.counts_from <= (g.day AT TIME ZONE %(time_zone)s) THEN -h.ordinal ELSE h.ordinal END
        LIMIT 1
    ) k
    WHERE p.account_id = ANY (%(account_ids)s::text[])
), waiting AS (
    SELECT e.device_id, e.used_on, sum(e.up + e.down) AS used
    FROM message_deltas e
    WHERE e.used_on BETWEEN %(first)s AND %(last)s
    GROUP BY e.device_id, e.used_on
), used AS (
    -- Most used less than anybody is allowed: only of the others is asked what their allowance is.
    SELECT m.device_id, m.used_on, (m.up + m.down + coalesce(e.used, 0))::bigint AS used
    FROM message_counts m
    LEFT JOIN waiting e ON e.device_id = m.device_id AND e.used_on = m.used_on
    WHERE m.used_on BETWEEN %(first)s AND %(last)s
      AND m.up + m.down + coalesce(e.used, 0) > (SELECT min(g.messages_per_day) FROM packages g)
    UNION ALL
    SELECT e.device_id, e.used_on, e.used::bigint
    FROM waiting e
    WHERE NOT EXISTS (SELECT FROM message_counts m WHERE m.device_id = e.device_id AND m.used_on = e.used_on)
), billed AS (
    SELECT b.device_id, b.used_on, sum(b.excess)::bigint AS excess
    FROM statement_parts b
    WHERE b.account_id = ANY (%(account_ids)s::text[]) AND b.usage = 'messages' AND b.from_month_on = %(first)s
    GROUP BY b.device_id, b.used_on
), written AS (
    INSERT INTO statement_parts (account_id, month_on, usage, from_month_on, product_id, device_id, used_on, used,
                                 allowance, excess)
    SELECT w.account_id, %(month_on)s, 'messages', %(first)s, w.product_id, u.device_id, u.used_on, u.used,
           w.messages_per_day, u.used - w.messages_per_day - coalesce(b.excess, 0)
    FROM used u
    JOIN devices d ON d.id = u.device_id
    JOIN allowed w ON w.product_id = d.product_id AND w.used_on = u.used_on
    LEFT JOIN billed b ON b.device_id = u.device_id AND b.used_on = u.used_on
    WHERE u.used > w.messages_per_day + coalesce(b.excess, 0) AND NOT d.virtual
    ORDER BY w.account_id, w.product_id, u.device_id, u.used_on
    RETURNING account_id, excess
)
SELECT r.account_id, sum(r.excess)::bigint FROM written r GROUP BY r.account_id;

-- insert_parts_of_ota --
-- What these accounts' devices were upgraded beyond their allowances of a month (F1, F2), by the package that counted when
-- the month ended, and what is not on any statement yet. A virtual device is never in excess. Returned: what it comes to,
-- by account.
WITH billed AS (
    SELECT b.device_id, sum(b.excess)::bigint AS excess
    FROM statement_parts b
    WHERE b.account_id = ANY (%(account_ids)s::text[]) AND b.usage = 'ota' AND b.from_month_on = %(from_month_on)s
    GROUP BY b.device_id
), written AS (
    INSERT INTO statement_parts (account_id, month_on, usage, from_month_on, product_id, device_id, used_on, used,
                                 allowance, excess)
    SELECT p.account_id, %(month_on)s, 'ota', %(from_month_on)s, p.id, u.device_id, %(from_month_on)s, u.attempts,
           k.ota_per_month, u.attempts - k.ota_per_month - coalesce(b.excess, 0)
    FROM (SELECT o.device_id, sum(o.attempts) AS attempts
          FROM ota_upgrades o
          WHERE o.state = 'completed' AND o.month_on = %(from_month_on)s
          GROUP BY o.device_id) u
    JOIN devices d ON d.id = u.device_id
    JOIN products p ON p.id = d.product_id
    CROSS JOIN LATERAL (
        SELECT x.ota_per_month
        FROM product_packages h
        JOIN packages x ON x.id = h.package_id
        WHERE h.product_id = p.id
        ORDER BY h.counts_from < %(ends_at)s DESC,
                 CASE WHEN h.counts_from < %(ends_at)s THEN -h.ordinal ELSE h.ordinal END
        LIMIT 1
    ) k
    LEFT JOIN billed b ON b.device_id = u.device_id
    WHERE p.account_id = ANY (%(account_ids)s::text[]) AND u.attempts > k.ota_per_month + coalesce(b.excess, 0)
      AND NOT d.virtual
    RETURNING account_id, excess
)
SELECT r.account_id, sum(r.excess)::bigint FROM written r GROUP BY r.account_id;

-- keepers --
-- Of these accounts, those that ever had a product's messages kept longer than is granted: no others have storage in excess.
SELECT DISTINCT p.account_id
FROM product_keeps k
JOIN products p ON p.id = k.product_id
WHERE p.account_id = ANY (%(account_ids)s::text[])
ORDER BY p.account_id;

-- insert_parts_of_storage --
-- What was kept of these products on these days beyond the days granted, in MiB-days (E5), and what is not on any statement
-- yet. Returned: what it comes to, by account.
WITH kept AS (
    SELECT p.account_id, p.id AS product_id, t.used_on, t.used, t.allowance
    FROM unnest(%(product_keys)s::text[], %(days)s::date[], %(used)s::bigint[], %(allowances)s::bigint[])
             AS t (product_key, used_on, used, allowance)
    JOIN products p ON p.product_key = t.product_key
), billed AS (
    SELECT b.product_id, b.used_on, sum(b.excess)::bigint AS excess
    FROM statement_parts b
    WHERE b.account_id IN (SELECT k.account_id FROM kept k) AND b.usage = 'storage'
      AND b.from_month_on = %(from_month_on)s
    GROUP BY b.product_id, b.used_on
), written AS (
    INSERT INTO statement_parts (account_id, month_on, usage, from_month_on, product_id, device_id, used_on, used,
                                 allowance, excess)
    SELECT k.account_id, %(month_on)s, 'storage', %(from_month_on)s, k.product_id, 0, k.used_on, k.used, k.allowance,
           k.used - k.allowance - coalesce(b.excess, 0)
    FROM kept k
    LEFT JOIN billed b ON b.product_id = k.product_id AND b.used_on = k.used_on
    WHERE k.used > k.allowance + coalesce(b.excess, 0)
    RETURNING account_id, excess
)
SELECT r.account_id, sum(r.excess)::bigint FROM written r GROUP BY r.account_id;

-- insert_statements --
-- Closed months.
INSERT INTO statements (account_id, month_on, time_zone, closed_at, counted)
SELECT t.account_id, %(month_on)s, %(time_zone)s, %(now)s, %(counted)s::jsonb
FROM unnest(%(account_ids)s::text[]) AS t (account_id)
ORDER BY t.account_id;

-- insert_lines --
-- What they came to.
INSERT INTO statement_lines (account_id, month_on, usage, from_month_on, excess)
SELECT t.account_id, %(month_on)s, t.usage, t.from_month_on, t.excess
FROM unnest(%(account_ids)s::text[], %(usages)s::text[], %(from_months)s::date[], %(excesses)s::bigint[])
         AS t (account_id, usage, from_month_on, excess);

-- late --
-- Closed months of these accounts of which something was counted afterwards.
SELECT m.account_id, m.month_on FROM late_months m WHERE m.account_id = ANY (%(account_ids)s::text[])
ORDER BY m.month_on, m.account_id;

-- late_no_more --
-- These months were looked at.
DELETE FROM late_months m
USING unnest(%(account_ids)s::text[], %(months)s::date[]) AS t (account_id, month_on)
WHERE m.account_id = t.account_id AND m.month_on = t.month_on;

-- hold_calendars --
-- Whose these products are, and their calendars; nobody closes a month of these accounts until the transaction ends.
SELECT p.product_key, a.id, a.time_zone
FROM accounts a
JOIN products p ON p.account_id = a.id
WHERE p.product_key = ANY (%(product_keys)s::text[])
ORDER BY a.id
FOR SHARE OF a;

-- note_late --
-- Something was counted of these months; those that are closed are to be looked at again.
INSERT INTO late_months (account_id, month_on)
SELECT s.account_id, s.month_on
FROM unnest(%(account_ids)s::text[], %(months)s::date[]) AS t (account_id, month_on)
JOIN statements s ON s.account_id = t.account_id AND s.month_on = t.month_on
ON CONFLICT ON CONSTRAINT late_months_pkey DO NOTHING;

-- owed --
-- What these accounts still owe, by statement and kind, the oldest first: excess less what was settled by top-ups and
-- paid (G5).
SELECT c.account_id, c.month_on, c.usage, c.excess - c.settled
FROM (
    SELECT l.account_id, l.month_on, l.usage, sum(l.excess)::bigint AS excess,
           coalesce((SELECT -sum(g.quantity) FROM ledger g
                     WHERE g.account_id = l.account_id AND g.month_on = l.month_on AND g.usage = l.usage), 0)::bigint
           + coalesce((SELECT sum(p.quantity) FROM payments p
                       WHERE p.account_id = l.account_id AND p.month_on = l.month_on AND p.usage = l.usage), 0)::bigint
               AS settled
    FROM statement_lines l
    WHERE l.account_id = ANY (%(account_ids)s::text[])
    GROUP BY l.account_id, l.month_on, l.usage
) c
WHERE c.excess > c.settled
ORDER BY c.account_id, c.month_on, c.usage;

-- page --
-- The closed months of one account, or of all, the latest first.
SELECT s.account_id, s.month_on, s.time_zone, s.closed_at
FROM statements s
WHERE (%(account_id)s::text IS NULL OR s.account_id = %(account_id)s)
  AND (%(month_on)s::date IS NULL OR s.month_on = %(month_on)s)
  AND (%(before_month)s::date IS NULL OR (s.month_on, s.account_id) < (%(before_month)s, %(before_account)s::text))
ORDER BY s.month_on DESC, s.account_id DESC
LIMIT %(limit)s;

-- lines --
-- The lines of these statements.
SELECT l.account_id, l.month_on, l.usage, l.from_month_on, l.excess
FROM statement_lines l
JOIN unnest(%(account_ids)s::text[], %(months)s::date[]) AS t (account_id, month_on)
  ON l.account_id = t.account_id AND l.month_on = t.month_on
ORDER BY l.usage, l.from_month_on;

-- parts --
-- What a kind of a closed month is made of (G5): by product, by device or by day, each from the month it was used in; of
-- everything, of one product, or of one device of it; with what was used and allowed on the days in excess.
SELECT r.from_month_on, r.product_key, r.device_key, r.used_on, sum(r.excess)::bigint, sum(r.used)::bigint,
       sum(r.allowance)::bigint
FROM (SELECT x.from_month_on, x.used, x.allowance, x.excess,
             CASE WHEN %(by)s::text = 'day' THEN '' ELSE p.product_key END AS product_key,
             CASE WHEN %(by)s = 'device' THEN coalesce(d.device_key, '') ELSE '' END AS device_key,
             CASE WHEN %(by)s = 'day' THEN x.used_on ELSE x.from_month_on END AS used_on
      FROM statement_lines l
      JOIN statement_parts x ON x.account_id = l.account_id AND x.usage = l.usage AND x.from_month_on = l.from_month_on
                            AND x.month_on = l.month_on
      JOIN products p ON p.id = x.product_id
      LEFT JOIN devices d ON d.id = x.device_id
      WHERE l.account_id = %(account_id)s AND l.month_on = %(month_on)s AND l.usage = %(usage)s
        AND (%(product_key)s::text IS NULL OR p.product_key = %(product_key)s)
        AND (%(device_key)s::text IS NULL OR d.device_key = %(device_key)s)) r
WHERE (r.from_month_on, r.product_key, r.device_key, r.used_on)
      > (%(after_from)s::date, %(after_product)s::text, %(after_device)s::text, %(after_on)s::date)
GROUP BY r.from_month_on, r.product_key, r.device_key, r.used_on
ORDER BY r.from_month_on, r.product_key, r.device_key, r.used_on
LIMIT %(limit)s;

-- settled --
-- What was settled of these statements, or of running months, by top-ups and payments, by kind.
SELECT x.account_id, x.month_on, x.usage, sum(x.quantity)::bigint
FROM (SELECT g.account_id, g.month_on, g.usage, -g.quantity AS quantity
      FROM ledger g
      JOIN unnest(%(account_ids)s::text[], %(months)s::date[]) AS t (account_id, month_on)
        ON g.account_id = t.account_id AND g.month_on = t.month_on
      UNION ALL
      SELECT p.account_id, p.month_on, p.usage, p.quantity
      FROM payments p
      JOIN unnest(%(account_ids)s::text[], %(months)s::date[]) AS t (account_id, month_on)
        ON p.account_id = t.account_id AND p.month_on = t.month_on) x
GROUP BY x.account_id, x.month_on, x.usage;

-- insert_payment --
-- A payment. Nothing comes back when its reference was there before.
INSERT INTO payments (account_id, month_on, usage, reference, quantity, paid_at, paid_by)
VALUES (%(account_id)s, %(month_on)s, %(usage)s, %(reference)s, %(quantity)s, %(now)s, %(paid_by)s)
ON CONFLICT ON CONSTRAINT payments_reference_once DO NOTHING
RETURNING quantity;

-- payment --
-- What was paid of a bill under a reference.
SELECT p.quantity
FROM payments p
WHERE p.account_id = %(account_id)s AND p.month_on = %(month_on)s AND p.usage = %(usage)s
  AND p.reference = %(reference)s;
