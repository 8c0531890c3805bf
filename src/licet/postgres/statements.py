"""Statements, what they came to and what was settled of them, in the books."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from licet.allowances import Drawn, Usage
from licet.postgres.books import Books
from licet.postgres.queries import queries
from licet.statements import Line, next_month

_sql = queries("statements")

Month = tuple[str, date]  # an account's id, and a month's first day


class Due(NamedTuple):
    """An account's month that is over and not closed."""

    account_id: str
    time_zone: str
    month: date


async def lock_accounts(books: Books, account_ids: Sequence[str]) -> dict[str, str]:
    """id → time zone."""
    rows = await books.all(_sql.lock_accounts, account_ids=sorted(set(account_ids)))
    return {row[0]: row[1] for row in rows}


async def due(books: Books, account_ids: Sequence[str] | None, *, most: int, now: datetime) -> list[Due]:
    asked = None if account_ids is None else list(account_ids)
    return [Due._make(row) for row in await books.all(_sql.due, account_ids=asked, most=most, now=now)]


async def months_due(
    books: Books, account_ids: Sequence[str] | None, *, through: date | None = None, now: datetime
) -> int:
    asked = None if account_ids is None else list(account_ids)
    row = await books.one(_sql.months_due, account_ids=asked, through=through or date.max, now=now)
    assert row is not None
    return int(row[0])


async def insert_parts_of_messages(
    books: Books, account_ids: Sequence[str], month: date, *, from_month: date, time_zone: str
) -> dict[str, int]:
    """account id → what they come to."""
    rows = await books.all(
        _sql.insert_parts_of_messages,
        account_ids=list(account_ids),
        month_on=month,
        first=from_month,
        last=next_month(from_month) - timedelta(days=1),
        time_zone=time_zone,
    )
    return {row[0]: row[1] for row in rows}


async def insert_parts_of_ota(
    books: Books, account_ids: Sequence[str], month: date, *, from_month: date, ends_at: datetime
) -> dict[str, int]:
    """account id → what they come to."""
    rows = await books.all(
        _sql.insert_parts_of_ota,
        account_ids=list(account_ids),
        month_on=month,
        from_month_on=from_month,
        ends_at=ends_at,
    )
    return {row[0]: row[1] for row in rows}


async def keepers(books: Books, account_ids: Sequence[str]) -> list[str]:
    return [row[0] for row in await books.all(_sql.keepers, account_ids=list(account_ids))]


async def insert_parts_of_storage(
    books: Books, month: date, *, from_month: date, kept: Sequence[tuple[str, date, Drawn]]
) -> dict[str, int]:
    """``kept``: (product key, day, MiB-days). Returns account id → what they come to."""
    rows = await books.all(
        _sql.insert_parts_of_storage,
        month_on=month,
        from_month_on=from_month,
        product_keys=[each[0] for each in kept],
        days=[each[1] for each in kept],
        used=[each[2].used for each in kept],
        allowances=[each[2].covered for each in kept],
    )
    return {row[0]: row[1] for row in rows}


async def insert_statements(
    books: Books,
    account_ids: Sequence[str],
    month: date,
    *,
    time_zone: str,
    counted: Mapping[str, int],
    now: datetime,
) -> None:
    """``counted``: how far each stream had been counted."""
    await books.run(
        _sql.insert_statements,
        account_ids=list(account_ids),
        month_on=month,
        time_zone=time_zone,
        counted=json.dumps(counted),
        now=now,
    )


async def insert_lines(books: Books, month: date, lines: Sequence[tuple[str, Line]]) -> None:
    """``lines``: (account id, line)."""
    await books.run(
        _sql.insert_lines,
        month_on=month,
        account_ids=[account_id for account_id, _ in lines],
        usages=[line.usage.value for _, line in lines],
        from_months=[line.from_month for _, line in lines],
        excesses=[line.excess for _, line in lines],
    )


async def late(books: Books, account_ids: Sequence[str]) -> list[Month]:
    return [(row[0], row[1]) for row in await books.all(_sql.late, account_ids=list(account_ids))]


async def late_no_more(books: Books, months: Sequence[Month]) -> None:
    await books.run(_sql.late_no_more, account_ids=[each[0] for each in months], months=[each[1] for each in months])


async def hold_calendars(books: Books, product_keys: Sequence[str]) -> dict[str, tuple[str, str]]:
    """product key → (account id, time zone)."""
    rows = await books.all(_sql.hold_calendars, product_keys=list(product_keys))
    return {row[0]: (row[1], row[2]) for row in rows}


async def note_late(books: Books, months: Sequence[Month]) -> None:
    await books.run(_sql.note_late, account_ids=[each[0] for each in months], months=[each[1] for each in months])


class Owed(NamedTuple):
    """What is still owed of one kind of a statement."""

    account_id: str
    month: date
    usage: Usage
    owed: int


async def owed(books: Books, account_ids: Sequence[str]) -> list[Owed]:
    rows = await books.all(_sql.owed, account_ids=list(account_ids))
    return [Owed(row[0], row[1], Usage(row[2]), row[3]) for row in rows]


class Closed(NamedTuple):
    """A closed month."""

    account_id: str
    month: date
    time_zone: str
    closed_at: datetime


async def page(
    books: Books, account_id: str | None, *, month: date | None = None, before: Month | None = None, limit: int
) -> list[Closed]:
    """``before``: the account and month of the last statement of the page before."""
    before_account, before_month = before or (None, None)
    rows = await books.all(
        _sql.page,
        account_id=account_id,
        month_on=month,
        before_month=before_month,
        before_account=before_account,
        limit=limit,
    )
    return [Closed._make(row) for row in rows]


async def lines(books: Books, months: Sequence[Month]) -> dict[Month, list[Line]]:
    found: dict[Month, list[Line]] = {}
    rows = await books.all(_sql.lines, account_ids=[each[0] for each in months], months=[each[1] for each in months])
    for account_id, month, usage, from_month, excess in rows:
        found.setdefault((account_id, month), []).append(Line(Usage(usage), from_month, excess))
    return found


class Part(NamedTuple):
    """A part of what a kind of a month came to: of a product, a device or a day, as it was asked for.

    ``on``: the day, or the first one of the month it is from. ``used`` and ``allowance``: of the days in excess.
    """

    from_month: date
    product_key: str
    device_key: str
    on: date
    excess: int
    used: int
    allowance: int


async def parts(
    books: Books,
    account_id: str,
    month: date,
    usage: Usage,
    *,
    by: str,
    product_key: str | None = None,
    device_key: str | None = None,
    after: tuple[date, str, str, date] | None = None,
    limit: int,
) -> list[Part]:
    """``by``: product, device or day. ``after``: the first four of the last part of the page before."""
    after_from, after_product, after_device, after_on = after or (date.min, "", "", date.min)
    rows = await books.all(
        _sql.parts,
        account_id=account_id,
        month_on=month,
        usage=usage,
        by=by,
        product_key=product_key,
        device_key=device_key,
        after_from=after_from,
        after_product=after_product,
        after_device=after_device,
        after_on=after_on,
        limit=limit,
    )
    return [Part._make(row) for row in rows]


async def settled(books: Books, months: Sequence[Month]) -> dict[tuple[str, date, Usage], int]:
    rows = await books.all(_sql.settled, account_ids=[each[0] for each in months], months=[each[1] for each in months])
    return {(row[0], row[1], Usage(row[2])): row[3] for row in rows}


async def insert_payment(
    books: Books, owing: Owed, *, quantity: int, reference: str, paid_by: str, now: datetime
) -> bool:
    row = await books.one(
        _sql.insert_payment,
        account_id=owing.account_id,
        month_on=owing.month,
        usage=owing.usage,
        reference=reference,
        quantity=quantity,
        paid_by=paid_by,
        now=now,
    )
    return row is not None


async def payment(books: Books, account_id: str, month: date, usage: Usage, reference: str) -> int | None:
    row = await books.one(_sql.payment, account_id=account_id, month_on=month, usage=usage, reference=reference)
    return row[0] if row else None
