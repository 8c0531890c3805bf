-- latest --
-- Where these devices stand: the last span of each, if any, whether it is on the list of those that do not renew, and
-- whether it is deleted.
SELECT d.id, d.device_key, coalesce(a.ordinal, 0), a.ends_at,
       NOT EXISTS (SELECT FROM no_renewals x WHERE x.device_id = d.id), d.deleted_at IS NOT NULL
FROM unnest(%(device_ids)b::bigint[]) AS k (id)
JOIN devices d ON d.id = k.id
LEFT JOIN LATERAL (
    SELECT s.ordinal, s.ends_at FROM activations s WHERE s.device_id = d.id ORDER BY s.ordinal DESC LIMIT 1
) a ON true;

-- consume --
-- Codes of one product are consumed: new spans, whole, all of one length. Constraints are the last word: a device's next
-- span once, a code once.
INSERT INTO activations (device_id, starts_at, ends_at, product_id, number, ordinal, reason)
SELECT t.device_id, %(starts_at)s, %(ends_at)s, %(product_id)s, t.number, t.ordinal, t.reason
FROM unnest(%(device_ids)b::bigint[], %(numbers)b::integer[], %(ordinals)b::smallint[], %(reasons)b::smallint[])
         AS t (device_id, number, ordinal, reason);

-- first_due --
-- The earliest instant after renewed_until, up to now, at which a span of the product ended and nothing is written yet
-- about what followed.
SELECT a.ends_at
FROM activations a
WHERE a.product_id = %(product_id)s AND a.ends_at > %(renewed_until)s AND a.ends_at <= %(now)s
  AND NOT EXISTS (SELECT FROM activations n WHERE n.device_id = a.device_id AND n.ordinal = a.ordinal + 1)
  AND NOT EXISTS (SELECT FROM lapses l WHERE l.device_id = a.device_id AND l.ordinal = a.ordinal)
ORDER BY a.ends_at
LIMIT 1;

-- count_due --
-- How many of the spans that ended in [first, stop), up to now, are to be renewed; at most so many.
SELECT count(*)
FROM (SELECT
      FROM activations a
      JOIN devices d ON d.id = a.device_id
      WHERE a.product_id = %(product_id)s AND a.ends_at >= %(first)s AND a.ends_at < %(stop)s AND a.ends_at <= %(now)s
        AND d.deleted_at IS NULL AND NOT d.virtual
        AND NOT EXISTS (SELECT FROM activations n WHERE n.device_id = a.device_id AND n.ordinal = a.ordinal + 1)
        AND NOT EXISTS (SELECT FROM lapses l WHERE l.device_id = a.device_id AND l.ordinal = a.ordinal)
        AND NOT EXISTS (SELECT FROM no_renewals x WHERE x.device_id = a.device_id)
      LIMIT %(most)s) due;

-- renew_due --
-- The next code for the devices whose spans ended in [first, stop), up to now: earliest expiry first, then DK (D5), as
-- far as what was taken reaches. The new span starts where the old one ended (D1). Calendar terms add the months
-- first and then the days, as units.Term does. Returned: how many, and which devices.
WITH due AS (
    SELECT a.device_id, d.device_key, a.ordinal, a.ends_at,
           row_number() OVER (ORDER BY a.ends_at, d.device_key) AS place
    FROM activations a
    JOIN devices d ON d.id = a.device_id
    WHERE a.product_id = %(product_id)s AND a.ends_at >= %(first)s AND a.ends_at < %(stop)s AND a.ends_at <= %(now)s
      AND d.deleted_at IS NULL AND NOT d.virtual
      AND NOT EXISTS (SELECT FROM activations n WHERE n.device_id = a.device_id AND n.ordinal = a.ordinal + 1)
      AND NOT EXISTS (SELECT FROM lapses l WHERE l.device_id = a.device_id AND l.ordinal = a.ordinal)
      AND NOT EXISTS (SELECT FROM no_renewals x WHERE x.device_id = a.device_id)
    ORDER BY a.ends_at, d.device_key
    LIMIT %(quantity)s
), taken AS (
    SELECT t.first_number, t.quantity, sum(t.quantity) OVER (ORDER BY t.n) - t.quantity AS before
    FROM unnest(%(first_numbers)s::integer[], %(quantities)s::integer[]) WITH ORDINALITY
             AS t (first_number, quantity, n)
), renewed AS (
    INSERT INTO activations (device_id, starts_at, ends_at, product_id, number, ordinal, reason)
    SELECT due.device_id, due.ends_at, due.ends_at + make_interval(months => %(months)s, days => %(days)s),
           %(product_id)s, (taken.first_number + due.place - 1 - taken.before)::integer, due.ordinal + 1, 2
    FROM due
    JOIN taken ON due.place > taken.before AND due.place <= taken.before + taken.quantity
    RETURNING device_id
)
SELECT count(*), json_agg(due.device_key ORDER BY due.place)
FROM renewed
JOIN due ON due.device_id = renewed.device_id;

-- lapse_due --
-- What is left of the spans that ended in [first, stop), up to now, ended for good: why. At most so many at a time.
-- Returned: the devices by reason.
WITH lapsed AS (
    INSERT INTO lapses (device_id, ordinal, reason)
    SELECT a.device_id, a.ordinal,
           CASE WHEN d.deleted_at IS NOT NULL THEN 'deleted'
                WHEN %(renewal_off)s OR d.virtual OR EXISTS (SELECT FROM no_renewals x WHERE x.device_id = a.device_id)
                    THEN 'renewal_off'
                WHEN %(on_connect)s THEN 'on_connect'
                ELSE 'no_code_available' END
    FROM activations a
    JOIN devices d ON d.id = a.device_id
    WHERE a.product_id = %(product_id)s AND a.ends_at >= %(first)s AND a.ends_at < %(stop)s AND a.ends_at <= %(now)s
      AND NOT EXISTS (SELECT FROM activations n WHERE n.device_id = a.device_id AND n.ordinal = a.ordinal + 1)
      AND NOT EXISTS (SELECT FROM lapses l WHERE l.device_id = a.device_id AND l.ordinal = a.ordinal)
    ORDER BY a.ends_at
    LIMIT %(most)s
    RETURNING device_id, ordinal, reason
)
SELECT l.reason, json_agg(d.device_key ORDER BY d.device_key)
FROM lapsed l
JOIN devices d ON d.id = l.device_id
GROUP BY l.reason
ORDER BY l.reason;

-- history --
-- Every span of a device, the first one first, with the lot and the order its code came from (D7).
SELECT a.ordinal, a.number, a.starts_at, a.ends_at, a.reason, r.lot_id, l.order_reference, x.reason
FROM products p
JOIN devices d ON d.product_id = p.id
JOIN activations a ON a.device_id = d.id
JOIN LATERAL (
    SELECT q.lot_id FROM ranges q
    WHERE q.product_id = a.product_id AND q.first_number <= a.number ORDER BY q.first_number DESC LIMIT 1
) r ON true
JOIN lots l ON l.id = r.lot_id
LEFT JOIN lapses x ON x.device_id = a.device_id AND x.ordinal = a.ordinal
WHERE p.product_key = %(product_key)s AND d.device_key = %(device_key)s AND p.deleted_at IS NULL
ORDER BY a.ordinal;

-- ending --
-- How many devices of a product have a span that ends in (since, until], and when the first of them does.
SELECT count(*), min(a.ends_at)
FROM activations a
JOIN devices d ON d.id = a.device_id
WHERE a.product_id = %(product_id)s AND a.ends_at > %(since)s AND a.ends_at <= %(until)s AND d.deleted_at IS NULL;

-- renewing --
-- How many devices of a product have a span that ends in (since, until] and is to be renewed.
SELECT count(*)
FROM activations a
JOIN devices d ON d.id = a.device_id
WHERE a.product_id = %(product_id)s AND a.ends_at > %(since)s AND a.ends_at <= %(until)s AND d.deleted_at IS NULL
  AND NOT EXISTS (SELECT FROM no_renewals x WHERE x.device_id = a.device_id);
