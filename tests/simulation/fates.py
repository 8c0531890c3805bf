"""What can befall whoever is at it: the connection is lost, the process dies, the answer is never heard.

It happens from outside: these are licet's own books, which count the statements that a verb makes through them.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from licet.postgres.books import Books, Row
from licet.refusals import Reason, Refused


class Kind(StrEnum):
    LOST = "loses its connection at statement {n}"
    KILLED = "is killed before statement {n}"
    UNHEARD = "is killed right after commit {n}"


@dataclass(frozen=True)
class Fate:
    kind: Kind
    n: int

    def __str__(self) -> str:
        return self.kind.format(n=self.n)


class Killed(BaseException):
    """The process is gone, and with it whatever it had not committed."""


@dataclass
class Thread:
    """A fate that is running out. ``struck``: whether it has come to pass."""

    fate: Fate | None
    left: int = 0
    struck: bool = False
    commits: int = 0

    def __post_init__(self) -> None:
        self.left = self.fate.n if self.fate else 0

    def cut(self, *kinds: Kind) -> bool:
        if self.fate is None or self.fate.kind not in kinds or self.struck:
            return False
        self.left -= 1
        self.struck = self.left == 0
        return self.struck


THREAD: ContextVar[Thread] = ContextVar("THREAD", default=Thread(None))  # noqa: B039 - nothing befalls anybody by default


class MortalBooks(Books):
    """Books whose reader's thread may be cut."""

    @asynccontextmanager
    async def transaction(self, **facts: object) -> AsyncIterator[Self]:
        outermost = self._connection is None
        async with super().transaction(**facts) as books:
            yield books
        if outermost:
            THREAD.get().commits += 1
            if THREAD.get().cut(Kind.UNHEARD):
                raise Killed

    async def all(self, query: bytes, **parameters: object) -> list[Row]:
        books = await self._step()
        return await super(MortalBooks, books).all(query, **parameters)

    async def run(self, query: bytes, **parameters: object) -> int:
        books = await self._step()
        return await super(MortalBooks, books).run(query, **parameters)

    async def copy(self, table: str, columns: Sequence[str], rows: bytes) -> None:
        books = await self._step()
        await super(MortalBooks, books).copy(table, columns, rows)

    async def vacuum(self, table: str) -> None:
        books = await self._step()
        await super(MortalBooks, books).vacuum(table)

    async def _step(self) -> Self:
        thread = THREAD.get()
        if not thread.cut(Kind.LOST, Kind.KILLED):
            return self
        if thread.fate is not None and thread.fate.kind is Kind.KILLED:
            raise Killed
        if self._connection is None:
            raise Refused(Reason.BOOKS_AWAY)
        await self._connection.close()
        return self
