"""Days of accounts in the books: what all devices of one used together, were allowed, and were warned of."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from licet.allowances import WARNINGS
from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("account_days")


class AccountDay(NamedTuple):
    """What all devices of an account used on a day, and were allowed; and the highest warning told of it, or 0."""

    account_id: str
    used_on: date
    used: int
    allowance: int
    told_percent: int

    def reached(self, percent: int) -> bool:
        """Whether so much of it is used; where nothing is allowed there is nothing to use up."""
        return 0 < percent * self.allowance <= self.used * 100


async def near(books: Books, days: Sequence[date], *, now: datetime) -> list[AccountDay]:
    rows = await books.all(_sql.near, days=list(days), percents=list(WARNINGS), now=now)
    return [AccountDay(*row) for row in rows]


async def note(books: Books, noted: Sequence[AccountDay]) -> None:
    await books.run(
        _sql.note,
        account_ids=[each.account_id for each in noted],
        days=[each.used_on for each in noted],
        allowances=[each.allowance for each in noted],
        percents=[each.told_percent for each in noted],
    )
