-- insert_lot --
-- A lot, whole. Nothing comes back when the account's order reference was credited before.
INSERT INTO lots (account_id, package_id, product_id, origin, quantity, assigned, order_reference, use_by, credited_at,
                  credited_by)
VALUES (%(account_id)s, %(package_id)s, %(product_id)s, %(origin)s, %(quantity)s, 0, %(order_reference)s, %(use_by)s,
        %(now)s, %(credited_by)s)
ON CONFLICT ON CONSTRAINT lots_order_once DO NOTHING
RETURNING id;

-- by_order --
-- The lot that was credited under an account's order reference.
SELECT l.id, l.account_id, l.package_id, l.origin, l.quantity, l.assigned, l.order_reference, l.use_by, l.credited_at,
       p.product_key
FROM lots l
LEFT JOIN products p ON p.id = l.product_id
WHERE l.account_id = %(account_id)s AND l.order_reference = %(order_reference)s;

-- page --
-- Lots of one account, or of all, the latest first.
SELECT l.id, l.account_id, l.package_id, l.origin, l.quantity, l.assigned, l.order_reference, l.use_by, l.credited_at,
       p.product_key
FROM lots l
LEFT JOIN products p ON p.id = l.product_id
WHERE (%(account_id)s::text IS NULL OR l.account_id = %(account_id)s)
  AND (%(before_at)s::timestamptz IS NULL OR (l.credited_at, l.id) < (%(before_at)s, %(before_id)s::text))
ORDER BY l.credited_at DESC, l.id DESC
LIMIT %(limit)s;

-- unassigned --
-- How many codes of each package an account has unassigned at that instant.
SELECT k.id, k.name, k.term_months, k.term_days, k.day_count, k.messages_per_day, k.ota_per_month, k.storage_days,
       sum(l.quantity - l.assigned)::bigint
FROM lots l
JOIN packages k ON k.id = l.package_id
WHERE l.account_id = %(account_id)s AND l.assigned < l.quantity
  AND (l.use_by IS NULL OR l.use_by > %(now)s)
GROUP BY k.id
ORDER BY k.name;

-- lock_unassigned --
-- Hold an account's lots of one package that have codes unassigned, in the order of their ids.
SELECT l.id, l.quantity - l.assigned, l.use_by, l.credited_at
FROM lots l
WHERE l.account_id = %(account_id)s AND l.package_id = %(package_id)s AND l.assigned < l.quantity
  AND (l.use_by IS NULL OR l.use_by > %(now)s)
ORDER BY l.id
FOR NO KEY UPDATE;

-- assign_from --
-- So many codes of each of these lots are assigned.
UPDATE lots
SET assigned = lots.assigned + t.quantity
FROM unnest(%(lot_ids)s::text[], %(quantities)s::integer[]) AS t (lot_id, quantity)
WHERE lots.id = t.lot_id;

-- insert_assignment --
-- An assignment, kept for good.
INSERT INTO assignments (account_id, product_id, package_id, quantity, assigned_at, assigned_by)
VALUES (%(account_id)s, %(product_id)s, %(package_id)s, %(quantity)s, %(now)s, %(assigned_by)s)
RETURNING id;

-- number_codes --
-- Give codes of these lots the next numbers of their product, in the order given. Only under the product's lock.
INSERT INTO ranges (product_id, first_number, quantity, consumed, use_by, lot_id, assignment_id)
SELECT %(product_id)s,
       coalesce((SELECT max(r.first_number + r.quantity) FROM ranges r WHERE r.product_id = %(product_id)s), 1)
           + (sum(t.quantity) OVER (ORDER BY t.n) - t.quantity)::integer,
       t.quantity, 0, l.use_by, t.lot_id, %(assignment_id)s
FROM unnest(%(lot_ids)s::text[], %(quantities)s::integer[]) WITH ORDINALITY AS t (lot_id, quantity, n)
JOIN lots l ON l.id = t.lot_id;

-- open_ranges --
-- The ranges of these products in which codes are left, by product.
SELECT r.product_id, r.first_number, r.quantity, r.consumed, r.use_by
FROM ranges r
WHERE r.product_id = ANY (%(product_ids)s::integer[]) AND r.consumed < r.quantity
ORDER BY r.product_id, r.first_number;

-- take_from --
-- So many codes of each of these ranges are consumed. Only under the product's lock.
UPDATE ranges
SET consumed = ranges.consumed + t.quantity
FROM unnest(%(product_ids)s::integer[], %(first_numbers)s::integer[], %(quantities)s::integer[])
         AS t (product_id, first_number, quantity)
WHERE ranges.product_id = t.product_id AND ranges.first_number = t.first_number;

-- shortage --
-- Of each product, how many of its codes are consumed and, besides, how many codes of the same allowance its account
-- has unassigned: what a refusal says.
SELECT p.id, p.name,
       (SELECT coalesce(sum(r.consumed), 0)::bigint FROM ranges r WHERE r.product_id = p.id),
       (SELECT coalesce(sum(l.quantity - l.assigned), 0)::bigint
        FROM lots l
        JOIN packages o ON o.id = l.package_id
        WHERE l.account_id = p.account_id AND l.assigned < l.quantity
          AND (l.use_by IS NULL OR l.use_by > %(now)s)
          AND (k.id IS NULL
               OR ((o.term_months, o.term_days, o.messages_per_day, o.ota_per_month, o.storage_days)
                   = (k.term_months, k.term_days, k.messages_per_day, k.ota_per_month, k.storage_days)
                   AND (o.term_months = 0 OR o.day_count = k.day_count))))
FROM products p
LEFT JOIN packages k ON k.id = p.package_id
WHERE p.id = ANY (%(product_ids)s::integer[]);

-- assignments --
-- Assignments of one account, or of all, to products whose name contains or whose key begins with what is searched for,
-- the latest first (A10).
SELECT s.id, s.account_id, p.product_key, p.name, k.id, k.name, k.term_months, k.term_days, k.day_count,
       k.messages_per_day, k.ota_per_month, k.storage_days, s.quantity, s.assigned_at, s.assigned_by
FROM assignments s
JOIN products p ON p.id = s.product_id
JOIN packages k ON k.id = s.package_id
WHERE (%(account_id)s::text IS NULL OR s.account_id = %(account_id)s)
  AND (%(search)s::text IS NULL
       OR position(lower(%(search)s) IN lower(p.name)) > 0 OR starts_with(p.product_key, %(search)s))
  AND (%(since)s::timestamptz IS NULL OR s.assigned_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR s.assigned_at < %(until)s)
  AND (%(before_at)s::timestamptz IS NULL OR (s.assigned_at, s.id) < (%(before_at)s, %(before_id)s::text))
ORDER BY s.assigned_at DESC, s.id DESC
LIMIT %(limit)s;
