"""One database for many stories, one after the other."""

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import psycopg
from tests.simulation.fates import MortalBooks
from tests.simulation.play import Moment, Player, Trouble
from tests.simulation.shrink import shrink, tell
from tests.simulation.stage import offer
from tests.simulation.stories import story

from licet import meter, renew, sweep
from licet.keyring import Keyring

_TABLES = """
    SELECT string_agg(quote_ident(tablename), ' ')
    FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('migrations', 'packages')"""
_TRUNCATED_EVERY = 50


class Theatre:
    """Plays stories in a migrated database that is its own."""

    def __init__(self, books: MortalBooks, database_url: str, packages: dict[str, str]) -> None:
        self._books, self._url, self._packages = books, database_url, packages
        self._played = 0
        self.years, self.stories, self.moments, self.struck = 0.0, 0, 0, 0

    @classmethod
    @asynccontextmanager
    async def open(cls, database_url: str) -> AsyncIterator["Theatre"]:
        async with MortalBooks.open(database_url, Keyring({1: bytes(32)}, 1)) as books:
            yield cls(books, database_url, await offer(books))

    async def trouble(self, seed: int) -> tuple[list[Moment], Trouble] | None:
        """Plays a seed's story. What it came to, if to any trouble."""
        moments = story(seed)
        with bites(random.Random(seed)):
            found = await self.play(moments)
        self.stories, self.moments = self.stories + 1, self.moments + len(moments)
        instants = [moment.at for moment in moments]
        self.years += (max(instants) - min(instants)).days / 365.25
        return (moments, found) if found is not None else None

    async def play(self, moments: Sequence[Moment]) -> Trouble | None:
        self._clear()
        player = Player(self._books, self._packages)
        try:
            await player.play(moments)
        except Trouble as trouble:
            return trouble
        finally:
            self.struck += player.struck
        return None

    def _clear(self) -> None:
        """Nothing is left of the last story. Few rows are deleted faster than tables are truncated."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            (names,) = connection.execute(_TABLES).fetchone() or ("",)
            if self._played % _TRUNCATED_EVERY == 0:
                emptied = f"TRUNCATE {names.replace(' ', ', ')}"
            else:
                emptied = "; ".join(f"DELETE FROM {name}" for name in names.split())  # noqa: S608
            # What is never to be changed is emptied all the same.
            connection.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {emptied}; COMMIT")
        self._played += 1

    async def told(self, seed: int, moments: Sequence[Moment], trouble: Trouble) -> str:
        """The shortest story of the same trouble, in the trade's words."""
        with bites(random.Random(seed)):
            return f"seed {seed}\n{tell(*await shrink(moments, trouble, self.play))}"


@contextmanager
def bites(dice: random.Random) -> Iterator[None]:
    """Large numbers are renewed, and folded, in bites; now and then two devices are a large number."""
    before = renew._BITE, sweep._BITE, meter._BITE
    if dice.random() < 0.3:
        renew._BITE, sweep._BITE, meter._BITE = dice.randint(1, 3), dice.randint(1, 4), dice.randint(1, 5)
    try:
        yield
    finally:
        renew._BITE, sweep._BITE, meter._BITE = before
