"""Which notices were given, in the books."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("notices")

NEAR_EXPIRY = "near_expiry"
RUN_OUT = "run_out"


class Due(NamedTuple):
    """A product to look at for a notice so many days ahead, and up to which instant it was looked at before."""

    product_id: int
    product_key: str
    account_id: str
    renews: bool
    days: int
    told_until: datetime | None


async def due_notices(books: Books, kind: str, days: Sequence[int], *, every: int, now: datetime) -> list[Due]:
    """``every``: how many days pass before the same product is looked at again."""
    rows = await books.all(_sql.due_notices, kind=kind, days=list(days), every=every, now=now)
    return [Due._make(row) for row in rows]


async def set_told_until(books: Books, kind: str, told: Sequence[tuple[int, int, datetime]]) -> None:
    """``told``: (product id, days before, up to which instant)."""
    await books.run(
        _sql.set_told_until,
        kind=kind,
        product_ids=[each[0] for each in told],
        days=[each[1] for each in told],
        told_until=[each[2] for each in told],
    )
