"""Activations in the books: the spans of devices, and why some were not followed by another."""

from collections.abc import Sequence
from datetime import datetime

from licet.activations import Activation, Consumption, Lapse, Latest, Reason
from licet.lots import Taking
from licet.postgres.books import Books
from licet.postgres.queries import queries
from licet.units import DayCount, Term

_sql = queries("activations")


async def latest(books: Books, device_ids: Sequence[int]) -> dict[int, Latest]:
    return {row[0]: Latest(*row) for row in await books.all(_sql.latest, device_ids=list(device_ids))}


async def consume(
    books: Books, product_id: int, consumed: Sequence[Consumption], *, starts_at: datetime, ends_at: datetime
) -> None:
    await books.run(
        _sql.consume,
        product_id=product_id,
        starts_at=starts_at,
        ends_at=ends_at,
        device_ids=[each.device_id for each in consumed],
        numbers=[each.number for each in consumed],
        ordinals=[each.ordinal for each in consumed],
        reasons=[each.reason.value for each in consumed],
    )


async def first_due(books: Books, product_id: int, renewed_until: datetime, *, now: datetime) -> datetime | None:
    row = await books.one(_sql.first_due, product_id=product_id, renewed_until=renewed_until, now=now)
    return row[0] if row else None


async def count_due(books: Books, product_id: int, first: datetime, stop: datetime, *, most: int, now: datetime) -> int:
    row = await books.one(_sql.count_due, product_id=product_id, first=first, stop=stop, most=most, now=now)
    assert row is not None
    return int(row[0])


async def renew_due(
    books: Books,
    product_id: int,
    first: datetime,
    stop: datetime,
    *,
    term: Term,
    takings: Sequence[Taking],
    now: datetime,
) -> list[str]:
    """Returns the keys of the devices that were renewed."""
    thirty = term.day_count is DayCount.THIRTY_360
    row = await books.one(
        _sql.renew_due,
        product_id=product_id,
        first=first,
        stop=stop,
        months=0 if thirty else term.months,
        days=term.months * 30 + term.days if thirty else term.days,
        quantity=sum(taking.quantity for taking in takings),
        first_numbers=[taking.first_number for taking in takings],
        quantities=[taking.quantity for taking in takings],
        now=now,
    )
    return list(row[1]) if row and row[0] else []


async def lapse_due(
    books: Books,
    product_id: int,
    first: datetime,
    stop: datetime,
    *,
    renewal_off: bool,
    on_connect: bool,
    most: int,
    now: datetime,
) -> dict[Lapse, list[str]]:
    """Returns the keys of the devices whose spans ended for good, by why."""
    rows = await books.all(
        _sql.lapse_due,
        product_id=product_id,
        first=first,
        stop=stop,
        renewal_off=renewal_off,
        on_connect=on_connect,
        most=most,
        now=now,
    )
    return {Lapse(row[0]): row[1] for row in rows}


async def history(books: Books, product_key: str, device_key: str) -> list[Activation]:
    rows = await books.all(_sql.history, product_key=product_key, device_key=device_key)
    return [
        Activation(row[0], row[1], row[2], row[3], Reason(row[4]), row[5], row[6], Lapse(row[7]) if row[7] else None)
        for row in rows
    ]


async def ending(books: Books, product_id: int, *, since: datetime, until: datetime) -> tuple[int, datetime | None]:
    row = await books.one(_sql.ending, product_id=product_id, since=since, until=until)
    assert row is not None
    return row[0], row[1]


async def renewing(books: Books, product_id: int, *, since: datetime, until: datetime) -> int:
    row = await books.one(_sql.renewing, product_id=product_id, since=since, until=until)
    assert row is not None
    return int(row[0])
