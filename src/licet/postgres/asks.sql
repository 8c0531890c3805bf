-- claim --
-- Claims a key: one row, or somebody was first. While that one is still at work this waits for its end; if it ended in
-- nothing, the key is claimed after all.
INSERT INTO asks (scope, key, fingerprint, asked_at)
VALUES (%(scope)s, %(key)s, %(fingerprint)s, %(now)s)
ON CONFLICT ON CONSTRAINT asks_key_once DO NOTHING;

-- answered --
-- What the request with that key was, and what it was answered.
SELECT fingerprint, status, sealed_answer
FROM asks
WHERE scope = %(scope)s AND key = %(key)s;

-- answer --
-- Leaves the state "claimed", in the transaction that claimed it.
UPDATE asks SET status = %(status)s, sealed_answer = %(sealed_answer)s
WHERE scope = %(scope)s AND key = %(key)s AND status IS NULL;
