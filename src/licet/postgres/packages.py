"""Packages in the books."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from licet.packages import Allowance, Package
from licet.postgres.books import Books
from licet.postgres.queries import queries
from licet.units import DayCount, Term

_sql = queries("packages")


def package(
    package_id: str, name: str, months: int, days: int, day_count: str, messages: int, ota: int, storage: int
) -> Package:
    """A package as its columns hold it."""
    return Package(package_id, name, Allowance(Term(months, days, DayCount(day_count)), messages, ota, storage))


def _columns(name: str, allowance: Allowance, now: datetime) -> dict[str, object]:
    return {
        "name": name,
        "term_months": allowance.term.months,
        "term_days": allowance.term.days,
        "day_count": allowance.term.day_count,
        "messages_per_day": allowance.messages_per_day,
        "ota_per_month": allowance.ota_per_month,
        "storage_days": allowance.storage_days,
        "now": now,
    }


async def insert_package(books: Books, name: str, allowance: Allowance, *, now: datetime) -> Package:
    row = await books.one(_sql.insert_package, **_columns(name, allowance, now))
    assert row is not None
    return Package(row[0], name, allowance)


async def ensure_package(books: Books, name: str, allowance: Allowance, *, now: datetime) -> Package:
    await books.run(_sql.ensure_package, **_columns(name, allowance, now))
    found = await named(books, name)
    assert found is not None
    return found


async def get(books: Books, package_id: str) -> Package | None:
    row = await books.one(_sql.get, id=package_id)
    return package(*row) if row else None


async def named(books: Books, name: str) -> Package | None:
    row = await books.one(_sql.named, name=name)
    return package(*row) if row else None


async def terms(books: Books, ids: Collection[str]) -> dict[str, Term]:
    """Package id → its term."""
    rows = await books.all(_sql.terms, ids=list(ids)) if ids else []
    return {row[0]: Term(row[1], row[2], DayCount(row[3])) for row in rows}


async def page(books: Books, *, after: str = "", limit: int) -> list[Package]:
    """``after``: the name of the last package of the page before."""
    return [package(*row) for row in await books.all(_sql.page, after=after, limit=limit)]


class Counting(NamedTuple):
    """A package that a product's messages and OTA upgrades count by, and since which midnight."""

    product_key: str
    product_name: str
    counts_from: datetime
    package: Package


async def counting(books: Books, account_id: str, *, since: datetime, until: datetime) -> list[Counting]:
    rows = await books.all(_sql.counting, account_id=account_id, since=since, until=until)
    return [Counting(row[0], row[1], row[2], package(*row[3:])) for row in rows]
