"""Devices per second in the books: first connects (P1) and known devices (P2).

By turns, over batches of devices of one hot product, ``synchronous_commit = on``:

- ``first``: the verb ``admit``, for devices that connect for the first time; against ``copy``: COPY of the rows that it
  wrote into a table of the same columns, constraints and indexes; and ``one by one``: pgbench, a transaction for each
  activation, by 1, 8 and 32 clients, the best of them.
- ``known``: the same verb for devices whose span covers now, secrets checked; against ``look-up``: the same look-up
  through the bare driver.

    python bench/books.py [--devices 50000] [--batch 500] [--rounds 5]
"""

import argparse
import asyncio
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from licet.accounts import PLATFORM, FreeCodes, Kind, Mode
from licet.admit import admit
from licet.enrol import create_product, import_devices, open_account
from licet.keyring import Keyring
from licet.mint import credit, define_package
from licet.packages import Allowance
from licet.postgres.books import Books
from licet.postgres.migrate import migrate
from licet.products import Imported, Knock
from licet.run.postgres_engine import Postgres, program
from licet.units import Term

PAGE = 10_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TYPES = ["int8", "timestamptz", "timestamptz", "int4", "int4", "int2", "int2"]
ROWS = "SELECT device_id, starts_at, ends_at, product_id, number, ordinal, reason FROM activations ORDER BY number"
LOOK_UP = """
    SELECT d.id, d.sealed_secret, a.ends_at
    FROM unnest(%(product_keys)b::text[], %(device_keys)b::text[]) AS k (product_key, device_key)
    JOIN products p ON p.product_key = k.product_key
    JOIN devices d ON d.product_id = p.id AND d.device_key = k.device_key
    LEFT JOIN LATERAL (
        SELECT s.ends_at FROM activations s WHERE s.device_id = d.id ORDER BY s.ordinal DESC LIMIT 1
    ) a ON true
"""
ONE_BY_ONE = """
    \\set device random(1, 1000000000)
    BEGIN;
    UPDATE hot SET taken = taken + 1 WHERE id = 1 RETURNING taken \\gset
    INSERT INTO singles VALUES (:device, now(), now() + interval '1 year', 1, :taken, :taken % 30000, 1);
    COMMIT;
"""


async def stock(books: Books, devices: int) -> list[Knock]:
    """A product with a code for each of so many devices; returns what they show."""
    allowance = Allowance(Term.parse("P5Y"), 1500, 1, 7)
    account = await open_account(
        books, name="Acme", kind=Kind.ENTERPRISE, time_zone="UTC", mode=Mode.CHARGE, data_center="local",
        free=FreeCodes(0, 0, allowance), by=PLATFORM, now=NOW,
    )  # fmt: skip
    product, _ = await create_product(books, account_id=account.id, name="Thermostat", by=PLATFORM, now=NOW)
    package = await define_package(books, name="five years", allowance=allowance, by=PLATFORM, now=NOW)
    await credit(
        books, account_id=account.id, product_key=product.product_key, package_id=package.id, quantity=devices,
        order_reference="order 1", by=PLATFORM, now=NOW,
    )  # fmt: skip
    knocks = []
    for begin in range(0, devices, PAGE):
        lines = [Imported(f"dev{n:09}") for n in range(begin, min(begin + PAGE, devices))]
        made = await import_devices(books, product.product_key, lines, by=PLATFORM, now=NOW)
        knocks += [Knock(product.product_key, device_key, secret) for device_key, secret in made]
    return knocks


async def admitted(books: Books, knocks: Sequence[Knock], batch: int) -> None:
    for begin in range(0, len(knocks), batch):
        answers = await admit(books, knocks[begin : begin + batch], now=NOW + timedelta(seconds=begin))
        assert all(answer.admitted for answer in answers)


async def copied(connection: psycopg.AsyncConnection, rows: Sequence[tuple[object, ...]], batch: int) -> None:
    await connection.execute("DROP TABLE IF EXISTS copied")
    await connection.execute("CREATE TABLE copied (LIKE activations INCLUDING ALL)")
    for begin in range(0, len(rows), batch):
        async with connection.cursor().copy("COPY copied FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(TYPES)
            for row in rows[begin : begin + batch]:
                await copy.write_row(row)


async def looked_up(connection: psycopg.AsyncConnection, knocks: Sequence[Knock], batch: int) -> None:
    for begin in range(0, len(knocks), batch):
        those = knocks[begin : begin + batch]
        keys = {"product_keys": [k.product_key for k in those], "device_keys": [k.device_key for k in those]}
        found = await (await connection.execute(LOOK_UP, keys, prepare=True)).fetchall()
        assert len(found) == len(those)


def one_by_one(url: str, folder: Path, seconds: int) -> float:
    """Activations per second, a transaction each, by the best number of clients."""
    script = folder / "one.sql"
    script.write_text(re.sub(r"^ {4}", "", ONE_BY_ONE, flags=re.MULTILINE).strip() + "\n")
    parts = conninfo_to_dict(url)
    environment = {"PGPASSWORD": str(parts["password"]), "PATH": "/usr/bin:/bin"}
    best = 0.0
    for clients in (1, 8, 32):
        asked = [
            program("pgbench"), "-n", "-f", script, "-c", str(clients), "-j", "2", "-T", str(seconds),
            "-h", str(parts["host"]), "-U", str(parts["user"]), str(parts["dbname"]),
        ]  # fmt: skip
        said = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout
        found = re.search(r"tps = ([\d.]+)", said)
        assert found is not None, said
        best = max(best, float(found[1]))
    return best


async def timed(work: Callable[[], Awaitable[None]], devices: int) -> float:
    begun = time.perf_counter()
    await work()
    return devices / (time.perf_counter() - begun)


async def one_round(engine: Postgres, folder: Path, devices: int, batch: int) -> dict[str, float]:
    """Every contestant once, on a database of its own."""
    async with await psycopg.AsyncConnection.connect(engine.url, autocommit=True) as maintenance:
        await maintenance.execute("DROP DATABASE IF EXISTS bench WITH (FORCE)")
        await maintenance.execute("CREATE DATABASE bench")
    url = engine.url_of("bench")
    await migrate(url)
    rates: dict[str, float] = {}
    async with (
        Books.open(url, Keyring({1: bytes(32)}, 1)) as books,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as bare,
    ):
        knocks = await stock(books, devices)
        await bare.execute("VACUUM ANALYZE")
        rates["first"] = await timed(lambda: admitted(books, knocks, batch), devices)
        rates["known"] = await timed(lambda: admitted(books, knocks, batch), devices)
        rows = await (await bare.execute(ROWS)).fetchall()
        rates["copy"] = await timed(lambda: copied(bare, rows, batch), devices)
        rates["look-up"] = await timed(lambda: looked_up(bare, knocks, batch), devices)
        await bare.execute("CREATE TABLE hot (id integer PRIMARY KEY, taken integer NOT NULL)")
        await bare.execute("INSERT INTO hot VALUES (1, 0)")
        await bare.execute("CREATE TABLE singles (LIKE activations INCLUDING ALL)")
    rates["one by one"] = await asyncio.to_thread(one_by_one, url, folder, 3)
    return rates


async def compare(devices: int, batch: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="licet-bench-") as folder:
        engine = Postgres(Path(folder) / "postgres")
        engine.start()
        try:
            measured = [await one_round(engine, Path(folder), devices, batch) for _ in range(rounds)]
        finally:
            engine.stop()
    print(f"{devices} devices in batches of {batch}, {rounds} rounds; ratios by median (least to most)")
    for name, limit in (("first", "copy"), ("first", "one by one"), ("known", "look-up")):
        ratios = sorted(rates[name] / rates[limit] for rates in measured)
        print(f"{name:>6} / {limit:<10} {statistics.median(ratios):6.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    asyncio.run(compare(asked.devices, asked.batch, asked.rounds))
