-- take --
-- Whoever looks how licet's clock goes, to write it down, is alone with it to the end of the transaction.
SELECT pg_advisory_xact_lock(%(lock)s);

-- read --
-- Since when licet's clock goes ahead of the real time, and by how much, the oldest first.
SELECT s.since_at, s.ahead
FROM clock_shifts s
ORDER BY s.since_at;

-- append --
-- From that real instant on it is so much ahead; of two in the same second the later one counts.
INSERT INTO clock_shifts (since_at, ahead)
VALUES (%(since_at)s, %(ahead)s)
ON CONFLICT ON CONSTRAINT clock_shifts_pkey DO UPDATE SET ahead = excluded.ahead;
