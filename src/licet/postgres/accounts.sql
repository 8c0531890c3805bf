-- insert_account --
-- A new account in this data centre, its home.
INSERT INTO accounts (name, kind, data_center, time_zone, mode, opened_at)
VALUES (%(name)s, %(kind)s, %(data_center)s, %(time_zone)s, %(mode)s, %(now)s)
RETURNING id;

-- get --
-- One account.
SELECT a.id, a.name, a.kind, a.data_center, a.time_zone, a.mode, a.opened_at
FROM accounts a
WHERE a.id = %(id)s;

-- lock --
-- One account, held until the transaction ends.
SELECT a.id, a.name, a.kind, a.data_center, a.time_zone, a.mode, a.opened_at
FROM accounts a
WHERE a.id = %(id)s
FOR NO KEY UPDATE;

-- page --
-- Accounts whose name contains what is searched for, by id.
SELECT a.id, a.name, a.kind, a.data_center, a.time_zone, a.mode, a.opened_at
FROM accounts a
WHERE a.id > %(after)s
  AND (%(search)s::text IS NULL OR position(lower(%(search)s) IN lower(a.name)) > 0)
ORDER BY a.id
LIMIT %(limit)s;

-- set_mode --
-- The account's mode from that day of its calendar on (E4); what was set for that day before is replaced.
INSERT INTO account_modes (account_id, starts_on, mode, set_at, set_by)
VALUES (%(account_id)s, %(starts_on)s, %(mode)s, %(now)s, %(set_by)s)
ON CONFLICT ON CONSTRAINT account_modes_pkey
DO UPDATE SET mode = excluded.mode, set_at = excluded.set_at, set_by = excluded.set_by;

-- modes_of --
-- Every mode the account had or will have: from which day on.
SELECT m.starts_on, m.mode, m.set_at, m.set_by
FROM account_modes m
WHERE m.account_id = %(account_id)s
ORDER BY m.starts_on;

-- change --
-- Change what is given; None leaves it as it is.
UPDATE accounts
SET name = coalesce(%(name)s::text, name),
    kind = coalesce(%(kind)s::text, kind),
    time_zone = coalesce(%(time_zone)s::text, time_zone),
    mode = coalesce(%(mode)s::text, mode)
WHERE id = %(id)s;

-- codes --
-- The account's counters at one instant (B1): its products' codes and what is unassigned; and how many of its devices
-- have 30 days or less left (D6).
SELECT c.available, c.consumed, u.unassigned, n.near_expiry
FROM (SELECT coalesce(sum(r.quantity - r.consumed)
                      FILTER (WHERE r.use_by IS NULL OR r.use_by > %(now)s::timestamptz), 0)::bigint AS available,
             coalesce(sum(r.consumed), 0)::bigint AS consumed
      FROM ranges r
      JOIN products p ON p.id = r.product_id
      WHERE p.account_id = %(account_id)s AND p.deleted_at IS NULL) c
CROSS JOIN (SELECT coalesce(sum(l.quantity - l.assigned), 0)::bigint AS unassigned
            FROM lots l
            WHERE l.account_id = %(account_id)s AND (l.use_by IS NULL OR l.use_by > %(now)s)) u
CROSS JOIN (SELECT count(*) AS near_expiry
            FROM products p
            JOIN activations a ON a.product_id = p.id
            JOIN devices d ON d.id = a.device_id
            WHERE p.account_id = %(account_id)s AND p.deleted_at IS NULL AND d.deleted_at IS NULL
              AND a.ends_at > %(now)s AND a.ends_at <= %(near)s) n;
