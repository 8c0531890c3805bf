"""kill -9 of a close of many accounts at any instant: the statements are those of a close that nobody killed.

CLOSE_ACCOUNTS=10000 is the long run; the seed is printed, and KILLS_SEED=… draws the same instants again.
"""

import os
import random
import secrets
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from doors.commands.terminal import OUTSIDE, ROOT
from psycopg import sql

from licet.run import key_file

ACCOUNTS = int(os.environ.get("CLOSE_ACCOUNTS", "400"))
SEED = int(os.environ.get("KILLS_SEED", secrets.randbelow(1_000_000)))
KILLS = 4
PATIENCE = 300.0
NOW = "2026-04-02T12:00:00Z"  # February and March are over in every zone

# A third of the accounts in each zone; half of them use more than 100 messages on some days; some have top-ups.
FILL = """
INSERT INTO packages (id, name, term_months, term_days, day_count, messages_per_day, ota_per_month, storage_days,
                      defined_at)
VALUES ('pkg_1', 'year', 12, 0, 'calendar', 100, 1, 7, '2026-02-01 10:00Z');
INSERT INTO accounts (id, name, kind, data_center, time_zone, mode, opened_at)
SELECT 'acc_' || lpad(n::text, 20, '0'), 'Acme ' || n, 'enterprise', 'eu-1',
       (ARRAY['UTC', 'Asia/Tokyo', 'America/New_York'])[n %% 3 + 1], 'charge', '2026-02-01 10:00Z'
FROM generate_series(1, %(accounts)s) n;
INSERT INTO products (product_key, account_id, name, sealed_secret, auto_renewal, renewal_policy,
                      dynamic_authentication, package_id, renewed_until, created_at)
SELECT 'pk' || right(id, 12), id, 'Thermostat', '', false, 'on_schedule', false, 'pkg_1', opened_at, opened_at
FROM accounts ORDER BY id;
INSERT INTO product_packages (product_id, ordinal, package_id, set_at, counts_from, set_by)
SELECT id, 1, 'pkg_1', created_at, created_at, 'test' FROM products;
INSERT INTO devices (product_id, device_key, sealed_secret, secret_origin, virtual, enrolled_at)
SELECT id, 'one1', '', 'supplied', false, created_at FROM products ORDER BY id;
INSERT INTO message_deltas (used_on, device_id, up, down)
SELECT t.day, d.id, 110 + d.id %% 50, 5
FROM devices d, unnest('{2026-02-10,2026-02-20,2026-03-10}'::date[]) AS t (day) WHERE d.id %% 2 = 0;
INSERT INTO topups (account_id, usage, origin, quantity, remaining, expires_at, reference, bought_at, bought_by)
SELECT a.id, 'messages', 'purchase', t.quantity, t.quantity, t.expires_at, t.reference, a.opened_at, 'test'
FROM accounts a
JOIN (VALUES (5, 70, NULL::timestamptz, 'a'), (7, 40, '2026-02-15Z', 'b'), (11, 90, '2026-03-20Z', 'c'),
             (13, 900, '2026-04-02 06:00Z', 'd')) AS t (each, quantity, expires_at, reference)
  ON right(a.id, 9)::integer %% t.each = 0;
INSERT INTO ledger (account_id, usage, at, type, quantity, balance, reference)
SELECT account_id, usage, bought_at, origin, quantity,
       sum(quantity) OVER (PARTITION BY account_id ORDER BY reference), reference
FROM topups ORDER BY account_id, reference;
"""

# What a close leaves behind, but for the instant at which it ran and the ids that it drew.
LEFT_BEHIND = {
    "statements": "SELECT account_id, month_on, time_zone, counted::text FROM statements ORDER BY 1, 2",
    "lines": "SELECT account_id, month_on, usage, from_month_on, excess FROM statement_lines ORDER BY 1, 2, 3, 4",
    "parts": """SELECT account_id, month_on, usage, from_month_on, product_id, device_id, used_on, used, allowance,
                excess FROM statement_parts ORDER BY 1, 2, 3, 4, 5, 6, 7""",
    "ledger": """SELECT l.account_id, l.usage, l.at, l.type, l.quantity, l.balance, l.month_on,
                 coalesce(t.reference, l.reference)
                 FROM ledger l LEFT JOIN topups t ON t.id = l.reference ORDER BY l.account_id, l.usage, l.id""",
    "topups": "SELECT account_id, usage, reference, remaining FROM topups ORDER BY 1, 2, 3",
    "events": "SELECT kind, account_id, facts::text FROM events ORDER BY 1, 2, 3",
}
UNBALANCED = """
SELECT account_id FROM ledger GROUP BY account_id, usage
HAVING sum(quantity) <> (array_agg(balance ORDER BY id DESC))[1]
    OR sum(quantity) <> (SELECT sum(t.remaining) FROM topups t
                         WHERE t.account_id = ledger.account_id AND t.usage = ledger.usage)
"""

Books = psycopg.Connection[tuple[Any, ...]]
Twins = tuple[str, str]


@pytest.fixture
def twins(postgres_url: str, database_url: str) -> Iterator[Twins]:
    """Two books in which the same was used and bought, and nothing is closed."""
    with psycopg.connect(database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as books:
        books.execute(FILL, {"accounts": ACCOUNTS})
        books.execute("ANALYZE")
        own = books.info.dbname
    name = f"twin_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as maintenance:
        made = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(own))
        maintenance.execute(made)
        yield database_url, database_url.replace(f"/{own}?", f"/{name}?", 1)
        maintenance.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def closes(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """`closes(url)`: a close of all that is over, under way; none outlives the test."""
    key_file.make(tmp_path / "keys.json")
    started: list[subprocess.Popen[bytes]] = []

    def start(url: str) -> subprocess.Popen[bytes]:
        said = {"LICET_DATA": str(tmp_path), "LICET_DATABASE_URL": url, "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-P", "-m", "licet.run.cli", "close", "--now", NOW]
        started.append(subprocess.Popen(command, env=OUTSIDE | said))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_close_that_is_killed_leaves_what_one_that_is_not_leaves(
    twins: Twins, closes: Callable[[str], subprocess.Popen[bytes]], at_once: int
) -> None:
    """Alone, or with another close beside it that lives."""
    url, twin = twins
    chance = random.Random(SEED)
    with psycopg.connect(url, autocommit=True) as books, psycopg.connect(twin, autocommit=True) as whole:
        never_killed, began_at = closes(twin), _begun(whole, set())
        assert never_killed.wait(PATIENCE) == 0
        lasted = time.monotonic() - began_at
        killed = []
        with psycopg.connect(url) as holding:  # so that the first is killed in the middle for certain
            holding.execute("SELECT FROM accounts WHERE time_zone = 'UTC' FOR NO KEY UPDATE")
            closing = [closes(url) for _ in range(at_once)]
            _wait(lambda: _waiting(books) == at_once)
            assert 0 < _closed(books) < 2 * ACCOUNTS
            if at_once == 1:
                closing[0].kill()
        time.sleep(chance.uniform(0, lasted / KILLS))
        closing[0].kill()
        killed.append((closing[0].wait(), _closed(books)))
        assert [each.wait(PATIENCE) for each in closing[1:]] == [0] * (at_once - 1)
        for _ in range(KILLS - 1 if at_once == 1 else 0):
            there = _sessions(books)
            alone = closes(url)
            _begun(books, there)
            time.sleep(chance.uniform(0, lasted / KILLS))
            alone.kill()
            killed.append((alone.wait(), _closed(books)))
        assert closes(url).wait(PATIENCE) == 0
        sys.stdout.write(f"seed {SEED}, a whole one took {lasted:.2f} s, killed at {killed} of {2 * ACCOUNTS}\n")
        assert killed[0][0] == -signal.SIGKILL or at_once > 1
        for what, query in LEFT_BEHIND.items():
            assert books.execute(query).fetchall() == whole.execute(query).fetchall(), what
        _is_right(books)


def _is_right(books: Books) -> None:
    """Each account twice, once a month, and told once of each; balances are what their rows come to."""
    assert _closed(books) == 2 * ACCOUNTS
    told = (
        "SELECT count(*), count(DISTINCT (account_id, facts ->> 'month')) FROM events WHERE kind = 'statement_closed'"
    )
    assert books.execute(told).fetchone() == (2 * ACCOUNTS, 2 * ACCOUNTS)
    types = books.execute("SELECT DISTINCT type FROM ledger ORDER BY type").fetchall()
    assert types == [("bill",), ("expiry",), ("purchase",)]
    assert books.execute(UNBALANCED).fetchall() == []


def _begun(books: Books, there: set[int]) -> float:
    """Wait until somebody new is on these books. Returns when that was."""
    _wait(lambda: bool(_sessions(books) - there))
    return time.monotonic()


def _wait(until: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def _waiting(books: Books) -> int:
    """How many are held up by somebody else."""
    found = books.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    assert found is not None
    return int(found[0])


def _sessions(books: Books) -> set[int]:
    found = books.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    return {pid for (pid,) in found}


def _closed(books: Books) -> int:
    found = books.execute("SELECT count(*) FROM statements").fetchone()
    assert found is not None
    return int(found[0])
