"""A long campaign: ``python -m tests.simulation --years 10000``. It ends at the first trouble, and tells it."""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import psycopg
from tests.simulation.theatre import Theatre

from licet.postgres.migrate import migrate
from licet.run.postgres_engine import Postgres


async def campaign(database_url: str, years: float, first: int) -> bool:
    started = time.monotonic()

    def say() -> None:
        hours = (time.monotonic() - started) / 3600
        sys.stdout.write(
            f"{theatre.stories} stories from seed {first}, {theatre.moments} moments, {theatre.struck} crashes, "
            f"{theatre.years:.0f} years, {theatre.years / hours:.0f} years an hour\n"
        )
        sys.stdout.flush()

    async with Theatre.open(database_url) as theatre:
        for seed in count(first):
            found = await theatre.trouble(seed)
            if found is not None:
                say()
                sys.stdout.write(await theatre.told(seed, *found) + "\n")
                return False
            if theatre.years >= years:
                break
            if theatre.stories % 100 == 0:
                say()
    say()
    return True


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    asked.add_argument("--years", type=float, default=1000, help="how many years to simulate")
    asked.add_argument("--seed", type=int, default=random.randrange(10**9), help="the first seed")
    given = asked.parse_args()
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # connections are lost on purpose
    with tempfile.TemporaryDirectory(prefix="licet-simulation-") as folder:
        engine = Postgres(Path(folder) / "postgres", durable=False)
        engine.start()
        try:
            with psycopg.connect(engine.url_of("postgres"), autocommit=True) as maintenance:
                maintenance.execute("CREATE DATABASE simulation")
            url = engine.url_of("simulation")
            asyncio.run(migrate(url))
            return 0 if asyncio.run(campaign(url, given.years, given.seed)) else 1
        finally:
            engine.stop()


if __name__ == "__main__":
    sys.exit(main())
