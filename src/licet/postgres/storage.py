"""How long messages are kept, what of them is gone, and what keeping them came to, in the books."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from licet.allowances import Drawn
from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("storage")


@dataclass(frozen=True, slots=True)
class Kept:
    """How many days a product's messages are granted to be kept, and are kept, on a day of its account's calendar."""

    product_id: int
    product_key: str
    today: date
    granted_days: int
    kept_days: int

    def since(self, now: datetime) -> datetime:
        """What came before this instant is gone."""
        return now - timedelta(days=self.kept_days)


class Due(NamedTuple):
    """A product whose messages from before an instant have to go from the disks."""

    product_id: int
    product_key: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Keep:
    """What was set about a product; without a number its messages are kept as its package grants."""

    starts_on: date
    keep_days: int | None
    set_at: datetime
    set_by: str


async def set_keep(
    books: Books, product_id: int, keep_days: int | None, *, starts_on: date, set_by: str, now: datetime
) -> None:
    await books.run(
        _sql.set_keep, product_id=product_id, keep_days=keep_days, starts_on=starts_on, set_by=set_by, now=now
    )


async def keeps(books: Books, product_id: int) -> list[Keep]:
    return [Keep(*row) for row in await books.all(_sql.keeps, product_id=product_id)]


async def days_kept(books: Books, product_key: str | None = None, *, now: datetime) -> list[Kept]:
    return [Kept(*row) for row in await books.all(_sql.days_kept, product_key=product_key, now=now)]


async def due(books: Books, untils: Mapping[int, datetime], *, every: timedelta, most: int) -> list[Due]:
    """``untils``: what came before is gone, by the product's id."""
    rows = await books.all(_sql.due, product_ids=list(untils), untils=list(untils.values()), every=every, most=most)
    return [Due(*row) for row in rows]


async def deleted(books: Books, *, over: timedelta, most: int) -> list[tuple[int, str]]:
    """(id, product key); ``over``: so long after the deletion nothing comes any more."""
    return [(row[0], row[1]) for row in await books.all(_sql.deleted, over=over, most=most)]


async def purged(books: Books, untils: Mapping[int, datetime]) -> None:
    await books.run(_sql.purged, product_ids=list(untils), untils=list(untils.values()))


@dataclass(frozen=True, slots=True)
class StorageUsed:
    """Stored bytes of a day or a month. ``drawn``: MiB-days, that is whole MiB that were kept on a day, rounded up once
    per product and day; covered by the granted days, or in excess of them."""

    on: date
    product_key: str | None
    stored_bytes: int
    kept_bytes: int
    drawn: Drawn


async def storage_used(
    books: Books,
    account_id: str | None,
    *,
    first: date,
    last: date,
    product_key: str | None = None,
    by: Literal["day", "month"] = "day",
    whose: Literal["total", "product"] = "total",
    after: tuple[date, str] = (date.min, ""),
    limit: int | None = None,
    now: datetime,
) -> list[StorageUsed]:
    """``stored_bytes``: what came that day; ``kept_bytes``: what lay there, summed over the days.

    ``after``: the day and the product's key of the last row of the page before.
    """
    rows = await books.all(
        _sql.storage_used,
        account_id=account_id,
        first=first,
        last=last,
        product_key=product_key,
        by=by,
        whose=whose,
        after_on=after[0],
        after_key=after[1],
        limit=limit,
        now=now,
    )
    return [StorageUsed(row[0], row[1], row[2], row[3], Drawn(row[4], row[5])) for row in rows]
