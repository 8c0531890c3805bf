"""Lots, the ranges of code numbers that products have from them, and assignments, in the books."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from licet.lots import Assignment, Lot, Origin, Range, Shortage, Taking
from licet.packages import Package
from licet.postgres.books import Books
from licet.postgres.packages import package
from licet.postgres.queries import queries

_sql = queries("lots")

Position = tuple[datetime, str]  # of the last row of the page before: its instant and id


def _lot(row: tuple[Any, ...]) -> Lot:
    return Lot(row[0], row[1], row[2], Origin(row[3]), *row[4:])


async def insert_lot(
    books: Books,
    *,
    account_id: str,
    package_id: str,
    product_id: int | None,
    origin: Origin,
    quantity: int,
    order_reference: str,
    use_by: datetime | None,
    credited_by: str,
    now: datetime,
) -> str | None:
    row = await books.one(
        _sql.insert_lot,
        account_id=account_id,
        package_id=package_id,
        product_id=product_id,
        origin=origin,
        quantity=quantity,
        order_reference=order_reference,
        use_by=use_by,
        credited_by=credited_by,
        now=now,
    )
    return row[0] if row else None


async def by_order(books: Books, account_id: str, order_reference: str) -> Lot | None:
    row = await books.one(_sql.by_order, account_id=account_id, order_reference=order_reference)
    return _lot(row) if row else None


async def page(books: Books, account_id: str | None, *, before: Position | None = None, limit: int) -> list[Lot]:
    at, lot_id = before or (None, None)
    rows = await books.all(_sql.page, account_id=account_id, before_at=at, before_id=lot_id, limit=limit)
    return [_lot(row) for row in rows]


async def unassigned(books: Books, account_id: str, *, now: datetime) -> list[tuple[Package, int]]:
    rows = await books.all(_sql.unassigned, account_id=account_id, now=now)
    return [(package(*row[:8]), row[8]) for row in rows]


async def lock_unassigned(
    books: Books, account_id: str, package_id: str, *, now: datetime
) -> list[tuple[str, int, datetime | None, datetime]]:
    """(lot id, codes unassigned, use by, credited at)."""
    rows = await books.all(_sql.lock_unassigned, account_id=account_id, package_id=package_id, now=now)
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def assign_from(books: Books, shares: Sequence[tuple[str, int]]) -> None:
    """``shares``: (lot id, how many of its codes)."""
    await books.run(_sql.assign_from, lot_ids=[s[0] for s in shares], quantities=[s[1] for s in shares])


async def insert_assignment(
    books: Books, *, account_id: str, product_id: int, package_id: str, quantity: int, assigned_by: str, now: datetime
) -> str:
    row = await books.one(
        _sql.insert_assignment,
        account_id=account_id,
        product_id=product_id,
        package_id=package_id,
        quantity=quantity,
        assigned_by=assigned_by,
        now=now,
    )
    assert row is not None
    return str(row[0])


async def number_codes(books: Books, product_id: int, assignment_id: str, shares: Sequence[tuple[str, int]]) -> None:
    await books.run(
        _sql.number_codes,
        product_id=product_id,
        assignment_id=assignment_id,
        lot_ids=[s[0] for s in shares],
        quantities=[s[1] for s in shares],
    )


async def open_ranges(books: Books, product_ids: Sequence[int]) -> dict[int, list[Range]]:
    found: dict[int, list[Range]] = {}
    for product_id, *columns in await books.all(_sql.open_ranges, product_ids=list(product_ids)):
        found.setdefault(product_id, []).append(Range(*columns))
    return found


async def take_from(books: Books, takings: Sequence[tuple[int, Taking]]) -> None:
    """``takings``: (product id, what is taken of it)."""
    await books.run(
        _sql.take_from,
        product_ids=[product_id for product_id, _ in takings],
        first_numbers=[taking.range_first for _, taking in takings],
        quantities=[taking.quantity for _, taking in takings],
    )


async def shortage(books: Books, product_ids: Sequence[int], *, now: datetime) -> dict[int, Shortage]:
    rows = await books.all(_sql.shortage, product_ids=list(product_ids), now=now)
    return {row[0]: Shortage(*row[1:]) for row in rows}


async def assignments(
    books: Books,
    account_id: str | None,
    *,
    search: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: Position | None = None,
    limit: int,
) -> list[Assignment]:
    at, assignment_id = before or (None, None)
    rows = await books.all(
        _sql.assignments,
        account_id=account_id,
        search=search,
        since=since,
        until=until,
        before_at=at,
        before_id=assignment_id,
        limit=limit,
    )
    return [Assignment(row[0], row[1], row[2], row[3], package(*row[4:12]), row[12], row[13], row[14]) for row in rows]
