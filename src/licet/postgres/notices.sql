-- due_notices --
-- Products whose notices of one kind were last looked at too long ago, and up to which instant they were told, by number
-- of days before.
SELECT p.id, p.product_key, p.account_id, p.auto_renewal AND p.renewal_policy = 'on_schedule', d.days, n.told_until
FROM products p
CROSS JOIN unnest(%(days)s::integer[]) AS d (days)
LEFT JOIN notices n ON n.product_id = p.id AND n.kind = %(kind)s AND n.days = d.days
WHERE p.deleted_at IS NULL AND p.package_id IS NOT NULL
  AND (n.told_until IS NULL OR n.told_until <= %(now)s::timestamptz + make_interval(days => d.days - %(every)s))
ORDER BY p.id, d.days;

-- set_told_until --
-- Notices of these kinds were looked at up to here.
INSERT INTO notices (product_id, kind, days, told_until)
SELECT t.product_id, %(kind)s, t.days, t.told_until
FROM unnest(%(product_ids)s::integer[], %(days)s::integer[], %(told_until)s::timestamptz[])
         AS t (product_id, days, told_until)
ON CONFLICT ON CONSTRAINT notices_pkey DO UPDATE SET told_until = excluded.told_until;
