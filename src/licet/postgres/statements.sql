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

-- excess_of_messages --
-- What these accounts' devices used beyond their allowances in [first, last] (E2, E4), which is a month of the accounts'
-- calendars, in one zone; with what is counted and not folded yet. A virtual device is never in excess.
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
), used AS (
    SELECT coalesce(c.device_id, u.device_id) AS device_id, coalesce(c.used_on, u.used_on) AS used_on,
           coalesce(c.used, 0) + coalesce(u.used, 0) AS used
    FROM (SELECT m.device_id, m.used_on, m.up + m.down AS used
          FROM message_counts m
          WHERE m.used_on BETWEEN %(first)s AND %(last)s) c
    FULL JOIN (SELECT e.device_id, e.used_on, sum(e.up + e.down) AS used
               FROM message_deltas e
               WHERE e.used_on BETWEEN %(first)s AND %(last)s
               GROUP BY e.device_id, e.used_on) u ON u.device_id = c.device_id AND u.used_on = c.used_on
)
SELECT w.account_id, sum(u.used - w.messages_per_day)::bigint
FROM used u
JOIN devices d ON d.id = u.device_id
JOIN allowed w ON w.product_id = d.product_id AND w.used_on = u.used_on
WHERE u.used > w.messages_per_day AND NOT d.virtual
GROUP BY w.account_id;

-- excess_of_ota --
-- What these accounts' devices were upgraded beyond their allowances of a month (F1, F2), by the package that counted when
-- the month ended. A virtual device is never in excess.
SELECT p.account_id, sum(u.attempts - k.ota_per_month)::bigint
FROM (SELECT o.device_id, sum(o.attempts) AS attempts
      FROM ota_upgrades o
      WHERE o.state = 'completed' AND o.month_on = %(month_on)s
      GROUP BY o.device_id) u
JOIN devices d ON d.id = u.device_id
JOIN products p ON p.id = d.product_id
CROSS JOIN LATERAL (
    SELECT x.ota_per_month
    FROM product_packages h
    JOIN packages x ON x.id = h.package_id
    WHERE h.product_id = p.id
    ORDER BY h.counts_from < %(ends_at)s DESC, CASE WHEN h.counts_from < %(ends_at)s THEN -h.ordinal ELSE h.ordinal END
    LIMIT 1
) k
WHERE p.account_id = ANY (%(account_ids)s::text[]) AND u.attempts > k.ota_per_month AND NOT d.virtual
GROUP BY p.account_id;

-- insert_statements --
-- Closed months; those that are closed already are passed over.
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

-- billed_from --
-- What was billed so far of these accounts' use in one month, on whichever statements.
SELECT l.account_id, l.usage, sum(l.excess)::bigint
FROM statement_lines l
WHERE l.account_id = ANY (%(account_ids)s::text[]) AND l.from_month_on = %(from_month_on)s
GROUP BY l.account_id, l.usage;

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
