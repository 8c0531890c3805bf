-- insert_token --
-- A token, known to the books by its hash alone.
INSERT INTO tokens (account_id, name, role, scopes, hash, issued_at, issued_by, expires_at)
VALUES (%(account_id)s, %(name)s, %(role)s, %(scopes)s::text[], %(hash)s, %(now)s, %(issued_by)s, %(expires_at)s)
RETURNING id, account_id, name, role, scopes, issued_at, expires_at, revoked_at;

-- holder --
-- The token with that hash, while it is good.
SELECT id, account_id, name, role, scopes, issued_at, expires_at, revoked_at
FROM tokens
WHERE hash = %(hash)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %(now)s);

-- get --
-- One token, also one that is no longer good.
SELECT id, account_id, name, role, scopes, issued_at, expires_at, revoked_at
FROM tokens
WHERE id = %(token_id)s;

-- page --
-- By id; of one account, or of all with the operators' among them.
SELECT id, account_id, name, role, scopes, issued_at, expires_at, revoked_at
FROM tokens
WHERE (%(account_id)s::text IS NULL OR account_id = %(account_id)s)
  AND (%(after)s::text IS NULL OR id > %(after)s)
ORDER BY id
LIMIT %(limit)s;

-- revoke --
-- Leaves the state "good": one row, or somebody was first.
UPDATE tokens SET revoked_at = %(now)s
WHERE id = %(token_id)s AND revoked_at IS NULL;

-- revoke_named --
-- Every good token of that name that belongs to no account: what the one that is issued next replaces.
UPDATE tokens SET revoked_at = %(now)s
WHERE account_id IS NULL AND name = %(name)s AND revoked_at IS NULL;
