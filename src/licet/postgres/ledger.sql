-- insert_topup --
-- A top-up. Nothing comes back when its reference was there before.
INSERT INTO topups (account_id, usage, origin, quantity, remaining, expires_at, reference, bought_at, bought_by)
VALUES (%(account_id)s, %(usage)s, %(origin)s, %(quantity)s, %(quantity)s, %(expires_at)s, %(reference)s, %(now)s,
        %(bought_by)s)
ON CONFLICT ON CONSTRAINT topups_reference_once DO NOTHING
RETURNING id;

-- topup_by_reference --
-- The top-up of one kind that an account has under a reference.
SELECT t.id, t.account_id, t.usage, t.origin, t.quantity, t.remaining, t.expires_at, t.reference, t.bought_at
FROM topups t
WHERE t.account_id = %(account_id)s AND t.usage = %(usage)s AND t.reference = %(reference)s;

-- topups --
-- Top-ups of one account, or of all, the latest first.
SELECT t.id, t.account_id, t.usage, t.origin, t.quantity, t.remaining, t.expires_at, t.reference, t.bought_at
FROM topups t
WHERE (%(account_id)s::text IS NULL OR t.account_id = %(account_id)s)
  AND (%(usage)s::text IS NULL OR t.usage = %(usage)s)
  AND (%(before_at)s::timestamptz IS NULL OR (t.bought_at, t.id) < (%(before_at)s, %(before_id)s::text))
ORDER BY t.bought_at DESC, t.id DESC
LIMIT %(limit)s;

-- remaining --
-- The top-ups of these accounts of which something is left, those that expired included. Only under the accounts' locks.
SELECT t.account_id, t.usage, t.id, t.quantity, t.remaining, t.expires_at, t.bought_at
FROM topups t
WHERE t.account_id = ANY (%(account_ids)s::text[]) AND t.remaining > 0
ORDER BY t.account_id, t.usage, t.id;

-- with_expired --
-- Accounts with top-ups that have expired and of which something is left.
SELECT DISTINCT t.account_id
FROM topups t
WHERE t.remaining > 0 AND t.expires_at <= %(now)s
ORDER BY t.account_id
LIMIT %(most)s;

-- draw_from --
-- So many units of each of these top-ups are gone.
UPDATE topups
SET remaining = topups.remaining - t.quantity
FROM unnest(%(ids)s::text[], %(quantities)s::bigint[]) AS t (id, quantity)
WHERE topups.id = t.id;

-- balances --
-- What these accounts' ledgers stand at, by kind. Only under the accounts' locks.
SELECT DISTINCT ON (l.account_id, l.usage) l.account_id, l.usage, l.balance
FROM ledger l
WHERE l.account_id = ANY (%(account_ids)s::text[])
ORDER BY l.account_id, l.usage, l.id DESC;

-- write_down --
-- Rows of the ledger, in the order given.
INSERT INTO ledger (account_id, usage, at, type, quantity, balance, month_on, reference)
SELECT t.account_id, t.usage, t.at, t.type, t.quantity, t.balance, t.month_on, t.reference
FROM unnest(%(account_ids)s::text[], %(usages)s::text[], %(ats)s::timestamptz[], %(types)s::text[],
            %(quantities)s::bigint[], %(balances)s::bigint[], %(months)s::date[], %(references)s::text[])
         WITH ORDINALITY AS t (account_id, usage, at, type, quantity, balance, month_on, reference, n)
ORDER BY t.n;

-- page --
-- An account's ledger of one kind, the latest row first.
SELECT l.id, l.usage, l.at, l.type, l.quantity, l.balance, l.month_on, l.reference
FROM ledger l
WHERE l.account_id = %(account_id)s AND l.usage = %(usage)s
  AND (%(before)s::bigint IS NULL OR l.id < %(before)s)
ORDER BY l.id DESC
LIMIT %(limit)s;
