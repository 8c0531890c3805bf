"""Work that one transaction at a time does, however many licet processes there are. Whoever comes second goes on."""

from enum import IntEnum

from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("turns")


class Work(IntEnum):
    """What there are turns for; the number is the advisory lock's."""

    NOTICES = 0x11CE75
    FOLDING = 0x11CEF0
    SENDING = 0x11CE5E
    KEEPING = 0x11CEAE


async def take_turn(books: Books, work: Work) -> bool:
    row = await books.one(_sql.take_turn, lock=work.value)
    return row is not None and bool(row[0])
