-- tell --
-- One round trip for any number of happenings; their ids grow in the order in which they were given.
INSERT INTO events (at, kind, account_id, product_key, facts)
SELECT %(now)s, given.kind, given.account_id, given.product_key, given.facts::jsonb
FROM unnest(%(kinds)b::text[], %(account_ids)b::text[], %(product_keys)b::text[], %(facts)b::text[])
    WITH ORDINALITY AS given (kind, account_id, product_key, facts, position)
ORDER BY given.position;

-- untold --
-- The oldest events that nobody told the outside yet; whoever reads them holds them until its transaction ends, and
-- another reader gets the next ones.
SELECT id, at, kind, account_id, product_key, facts
FROM events
WHERE told_at IS NULL
ORDER BY id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED;

-- mark_told --
-- Leaves the state "untold": an event is marked once.
UPDATE events SET told_at = %(now)s
WHERE id = ANY(%(ids)b::bigint[]) AND told_at IS NULL;

-- page --
-- Newest first; of one account, or of all.
SELECT id, at, kind, account_id, product_key, facts
FROM events
WHERE (%(account_id)s::text IS NULL OR account_id = %(account_id)s)
  AND (%(product_key)s::text IS NULL OR product_key = %(product_key)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(after)s::bigint IS NULL OR id < %(after)s)
ORDER BY id DESC
LIMIT %(limit)s;
