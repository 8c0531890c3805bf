"""Top-ups and their ledger, in the books."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from licet.allowances import Usage
from licet.excess import Origin, Topup
from licet.postgres.books import Books
from licet.postgres.queries import queries
from licet.statements import Entry, LedgerType

_sql = queries("ledger")

Kind = tuple[str, Usage]  # an account's id, and a kind


@dataclass(frozen=True, slots=True)
class Bought:
    """A top-up as it was bought or given."""

    id: str
    account_id: str
    usage: Usage
    origin: Origin
    quantity: int
    left: int
    expires_at: datetime | None
    reference: str
    bought_at: datetime


def _bought(row: tuple[Any, ...]) -> Bought:
    return Bought(row[0], row[1], Usage(row[2]), Origin(row[3]), row[4], row[5], row[6], row[7], row[8])


async def insert_topup(
    books: Books,
    *,
    account_id: str,
    usage: Usage,
    origin: Origin,
    quantity: int,
    expires_at: datetime | None,
    reference: str,
    bought_by: str,
    now: datetime,
) -> str | None:
    row = await books.one(
        _sql.insert_topup,
        account_id=account_id,
        usage=usage,
        origin=origin,
        quantity=quantity,
        expires_at=expires_at,
        reference=reference,
        bought_by=bought_by,
        now=now,
    )
    return row[0] if row else None


async def topup_by_reference(books: Books, account_id: str, usage: Usage, reference: str) -> Bought | None:
    row = await books.one(_sql.topup_by_reference, account_id=account_id, usage=usage, reference=reference)
    return _bought(row) if row else None


async def topups(
    books: Books,
    account_id: str | None,
    *,
    usage: Usage | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int,
) -> list[Bought]:
    """``before``: when the last one of the page before was bought, and its id."""
    at, topup_id = before or (None, None)
    rows = await books.all(
        _sql.topups, account_id=account_id, usage=usage, before_at=at, before_id=topup_id, limit=limit
    )
    return [_bought(row) for row in rows]


async def remaining(books: Books, account_ids: Sequence[str]) -> dict[Kind, list[Topup]]:
    found: dict[Kind, list[Topup]] = {}
    for row in await books.all(_sql.remaining, account_ids=list(account_ids)):
        found.setdefault((row[0], Usage(row[1])), []).append(Topup(row[2], row[3], row[4], row[5], row[6]))
    return found


async def with_expired(books: Books, *, most: int, now: datetime) -> list[str]:
    return [row[0] for row in await books.all(_sql.with_expired, most=most, now=now)]


async def draw_from(books: Books, drawn: Sequence[tuple[str, int]]) -> None:
    """``drawn``: (top-up's id, how many of it)."""
    await books.run(_sql.draw_from, ids=[each[0] for each in drawn], quantities=[each[1] for each in drawn])


async def balances(books: Books, account_ids: Sequence[str]) -> dict[Kind, int]:
    rows = await books.all(_sql.balances, account_ids=list(account_ids))
    return {(row[0], Usage(row[1])): row[2] for row in rows}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the ledger that is about to be written."""

    account_id: str
    usage: Usage
    at: datetime
    type: LedgerType
    quantity: int
    balance: int
    month: date | None = None
    reference: str | None = None


async def write_down(books: Books, rows: Sequence[Row]) -> None:
    await books.run(
        _sql.write_down,
        account_ids=[row.account_id for row in rows],
        usages=[row.usage.value for row in rows],
        ats=[row.at for row in rows],
        types=[row.type.value for row in rows],
        quantities=[row.quantity for row in rows],
        balances=[row.balance for row in rows],
        months=[row.month for row in rows],
        references=[row.reference for row in rows],
    )


async def page(books: Books, account_id: str, usage: Usage, *, before: int | None, limit: int) -> list[Entry]:
    """``before``: the id of the last row of the page before."""
    rows = await books.all(_sql.page, account_id=account_id, usage=usage, before=before, limit=limit)
    return [Entry(row[0], Usage(row[1]), row[2], LedgerType(row[3]), row[4], row[5], row[6], row[7]) for row in rows]
