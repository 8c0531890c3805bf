-- take_turn --
-- Whether this transaction is the one that does a piece of work now; another may be at it, on another machine.
SELECT pg_try_advisory_xact_lock(%(lock)s);
