"""Accounts in the books."""

from datetime import date, datetime
from typing import Any

from licet.accounts import Account, AccountCodes, Kind, Mode
from licet.activations import NEAR_EXPIRY
from licet.lots import Codes
from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("accounts")


def _account(row: tuple[Any, ...]) -> Account:
    return Account(row[0], row[1], Kind(row[2]), row[3], row[4], Mode(row[5]), row[6])


async def insert_account(
    books: Books, *, name: str, kind: Kind, data_center: str, time_zone: str, mode: Mode, now: datetime
) -> Account:
    row = await books.one(
        _sql.insert_account, name=name, kind=kind, data_center=data_center, time_zone=time_zone, mode=mode, now=now
    )
    assert row is not None
    return Account(row[0], name, kind, data_center, time_zone, mode, now)


async def get(books: Books, account_id: str) -> Account | None:
    row = await books.one(_sql.get, id=account_id)
    return _account(row) if row else None


async def lock(books: Books, account_id: str) -> Account | None:
    row = await books.one(_sql.lock, id=account_id)
    return _account(row) if row else None


async def page(books: Books, *, search: str | None = None, after: str = "", limit: int) -> list[Account]:
    """``after``: the id of the last account of the page before."""
    return [_account(row) for row in await books.all(_sql.page, search=search, after=after, limit=limit)]


async def change(
    books: Books, account_id: str, *, name: str | None, kind: Kind | None, time_zone: str | None, mode: Mode | None
) -> None:
    await books.run(_sql.change, id=account_id, name=name, kind=kind, time_zone=time_zone, mode=mode)


async def set_mode(books: Books, account_id: str, mode: Mode, *, starts_on: date, set_by: str, now: datetime) -> None:
    await books.run(_sql.set_mode, account_id=account_id, mode=mode, starts_on=starts_on, set_by=set_by, now=now)


async def modes_of(books: Books, account_id: str) -> list[tuple[date, Mode, datetime, str]]:
    """(from which day on, mode, set at, set by), in that order of time."""
    rows = await books.all(_sql.modes_of, account_id=account_id)
    return [(row[0], Mode(row[1]), row[2], row[3]) for row in rows]


async def codes(books: Books, account_id: str, *, now: datetime) -> AccountCodes:
    row = await books.one(_sql.codes, account_id=account_id, now=now, near=now + NEAR_EXPIRY)
    assert row is not None
    available, consumed, unassigned, near_expiry = row
    return AccountCodes(Codes(available + unassigned, consumed), unassigned, near_expiry)
