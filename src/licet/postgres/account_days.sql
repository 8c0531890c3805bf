-- near --
-- Accounts whose devices have together used so much of one of these days that a warning is due, by what they were allowed
-- when that was last looked at: what they used, what they are allowed now, and the highest warning that was told. Allowed
-- is what each device may use that was active at some time of that day, up to now: within a day it only grows, so that
-- what was looked at before never hides a warning.
WITH used AS (
    SELECT p.account_id, s.used_on, sum(s.messages)::bigint AS messages
    FROM product_days s
    JOIN products p ON p.id = s.product_id
    WHERE s.used_on = ANY (%(days)s::date[])
    GROUP BY p.account_id, s.used_on
), due AS MATERIALIZED (
    SELECT u.account_id, u.used_on, u.messages, coalesce(k.told_percent, 0) AS told_percent
    FROM used u
    LEFT JOIN account_days k ON k.account_id = u.account_id AND k.used_on = u.used_on
    WHERE u.messages * 100 >= coalesce(k.allowance, 0) * (SELECT min(w.percent)
                                                          FROM unnest(%(percents)s::integer[]) AS w (percent)
                                                          WHERE w.percent > coalesce(k.told_percent, 0))
)
SELECT d.account_id, d.used_on, d.messages, coalesce(sum(x.devices * g.messages_per_day), 0)::bigint, d.told_percent
FROM due d
JOIN accounts a ON a.id = d.account_id
CROSS JOIN LATERAL (
    SELECT d.used_on::timestamp AT TIME ZONE a.time_zone AS begins_at,
           least((d.used_on + 1)::timestamp AT TIME ZONE a.time_zone, %(now)s::timestamptz) AS ends_at
) t
JOIN products p ON p.account_id = d.account_id AND (p.deleted_at IS NULL OR p.deleted_at > t.begins_at)
CROSS JOIN LATERAL (
    SELECT count(DISTINCT s.device_id) AS devices
    FROM activations s
    JOIN devices e ON e.id = s.device_id
    WHERE s.product_id = p.id AND s.ends_at > t.begins_at AND s.starts_at <= t.ends_at
      AND (e.deleted_at IS NULL OR e.deleted_at > t.begins_at)
) x
CROSS JOIN LATERAL (
    SELECT k.messages_per_day
    FROM product_packages h
    JOIN packages k ON k.id = h.package_id
    WHERE h.product_id = p.id
    ORDER BY h.counts_from <= t.begins_at DESC,
             CASE WHEN h.counts_from <= t.begins_at THEN -h.ordinal ELSE h.ordinal END
    LIMIT 1
) g
GROUP BY d.account_id, d.used_on, d.messages, d.told_percent
ORDER BY d.account_id, d.used_on;

-- note --
-- What accounts were allowed on a day was looked at, and so much was told of it.
INSERT INTO account_days (account_id, used_on, allowance, told_percent)
SELECT t.account_id, t.used_on, t.allowance, t.told_percent
FROM unnest(%(account_ids)b::text[], %(days)s::date[], %(allowances)b::bigint[], %(percents)b::integer[])
         AS t (account_id, used_on, allowance, told_percent)
ORDER BY t.account_id, t.used_on
ON CONFLICT ON CONSTRAINT account_days_pkey
DO UPDATE SET allowance = excluded.allowance, told_percent = excluded.told_percent;
