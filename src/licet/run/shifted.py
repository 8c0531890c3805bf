"""A licet that is started at another time than it is says so in the books, before it hears anybody."""

from collections.abc import Callable
from datetime import UTC, datetime

from licet.postgres import shifts
from licet.postgres.books import Books
from licet.shifts import Shifts


async def write_shift(books: Books, clock: Callable[[], datetime]) -> Shifts:
    """If this clock goes otherwise than the books say, they say so from now on. Returns all shifts there are.

    Processes that are started together find what the first of them wrote. Raises ``Refused``: books_away.
    """
    async with books.transaction() as books:
        await shifts.take(books)
        known = await shifts.read(books)
        if (shift := known.next(told=clock(), real=datetime.now(UTC))) is None:
            return known
        await shifts.append(books, shift)
        return await shifts.read(books)
