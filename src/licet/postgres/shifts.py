"""Shifts in the books: since when licet's clock goes ahead of the real time, and by how much."""

from licet.postgres.books import Books
from licet.postgres.queries import queries
from licet.shifts import Shift, Shifts

_sql = queries("shifts")
_LOCK = 0x11CE0C


async def take(books: Books) -> None:
    await books.run(_sql.take, lock=_LOCK)


async def read(books: Books) -> Shifts:
    return Shifts([Shift(*row) for row in await books.all(_sql.read)])


async def append(books: Books, shift: Shift) -> None:
    await books.run(_sql.append, since_at=shift.since_at, ahead=shift.ahead)
