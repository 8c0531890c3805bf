-- record --
-- One line per change; written with the change, never touched again.
INSERT INTO audit (at, account_id, by_id, by_name, address, act, subject, before, after)
VALUES (%(now)s, %(account_id)s, %(by_id)s, %(by_name)s, %(address)s, %(act)s, %(subject)s,
        %(before)s::text::jsonb, %(after)s::text::jsonb);

-- page --
-- Newest first; of one account, or of all. An account's log names whoever changed it, also the operator.
SELECT id, at, account_id, by_id, by_name, address, act, subject, before, after
FROM audit
WHERE (%(account_id)s::text IS NULL OR account_id = %(account_id)s)
  AND (%(by_id)s::text IS NULL OR by_id = %(by_id)s)
  AND (%(act)s::text IS NULL OR act = %(act)s)
  AND (%(subject)s::text IS NULL OR subject = %(subject)s)
  AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
  AND (%(after)s::bigint IS NULL OR id < %(after)s)
ORDER BY id DESC
LIMIT %(limit)s;
