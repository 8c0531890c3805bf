"""Products in the books."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from licet.lots import Codes
from licet.packages import Package
from licet.postgres import packages
from licet.postgres.books import Books
from licet.postgres.packages import package
from licet.postgres.queries import queries
from licet.products import LockedProduct, Product, RenewalPolicy

_sql = queries("products")


async def lock(books: Books, ids: Sequence[int]) -> list[LockedProduct]:
    rows = await books.all(_sql.lock, ids=sorted(set(ids)))
    terms = await packages.terms(books, {row[7] for row in rows if row[7] is not None})
    return [
        LockedProduct(
            id=row[0],
            product_key=row[1],
            account_id=row[2],
            name=row[3],
            auto_renewal=row[4],
            renewal_policy=RenewalPolicy(row[5]),
            dynamic_authentication=row[6],
            package_id=row[7],
            term=terms.get(row[7]),
            renewed_until=row[8],
        )
        for row in rows
    ]


async def identify(books: Books, product_keys: Sequence[str]) -> dict[str, int]:
    return {row[0]: row[1] for row in await books.all(_sql.identify, product_keys=list(product_keys))}


async def get(books: Books, product_key: str, *, now: datetime) -> Product | None:
    found = await page(books, None, product_key=product_key, limit=1, now=now)
    return found[0] if found else None


async def page(
    books: Books,
    account_id: str | None,
    *,
    product_key: str | None = None,
    search: str | None = None,
    after: int = 0,
    limit: int,
    now: datetime,
) -> list[Product]:
    """``after``: the id of the last product of the page before."""
    rows = await books.all(
        _sql.page, account_id=account_id, product_key=product_key, search=search, after=after, limit=limit, now=now
    )
    return [_product(row) for row in rows]


async def count(books: Books, account_id: str) -> int:
    row = await books.one(_sql.count, account_id=account_id)
    assert row is not None
    return int(row[0])


def _product(row: tuple[Any, ...]) -> Product:
    return Product(
        id=row[0],
        product_key=row[1],
        account_id=row[2],
        name=row[3],
        auto_renewal=row[4],
        renewal_policy=RenewalPolicy(row[5]),
        dynamic_authentication=row[6],
        created_at=row[7],
        package=package(*row[8:16]) if row[8] is not None else None,
        codes=Codes(available=row[16], consumed=row[17]),
        keep_days=row[18],
    )


async def insert_product(
    books: Books, *, product_key: str, account_id: str, name: str, sealed_secret: bytes, now: datetime
) -> None:
    await books.run(
        _sql.insert_product,
        product_key=product_key,
        account_id=account_id,
        name=name,
        sealed_secret=sealed_secret,
        now=now,
    )


async def change(
    books: Books,
    product_id: int,
    *,
    name: str | None,
    auto_renewal: bool | None,
    renewal_policy: RenewalPolicy | None,
    dynamic_authentication: bool | None,
) -> None:
    await books.run(
        _sql.change,
        id=product_id,
        name=name,
        auto_renewal=auto_renewal,
        renewal_policy=renewal_policy,
        dynamic_authentication=dynamic_authentication,
    )


async def set_secret(books: Books, product_id: int, sealed_secret: bytes) -> None:
    await books.run(_sql.set_secret, id=product_id, sealed_secret=sealed_secret)


async def set_package(books: Books, product_id: int, package_id: str) -> None:
    await books.run(_sql.set_package, id=product_id, package_id=package_id)


async def record_package(
    books: Books, product_id: int, package_id: str, *, counts_from: datetime, set_by: str, now: datetime
) -> None:
    await books.run(
        _sql.record_package,
        product_id=product_id,
        package_id=package_id,
        counts_from=counts_from,
        set_by=set_by,
        now=now,
    )


async def packages_of(books: Books, product_id: int) -> list[tuple[Package, datetime, datetime, str]]:
    """(package, set at, counts from, set by), oldest first."""
    rows = await books.all(_sql.packages_of, product_id=product_id)
    return [(package(*row[:8]), row[8], row[9], row[10]) for row in rows]


async def set_renewed_until(books: Books, product_id: int, renewed_until: datetime) -> None:
    await books.run(_sql.set_renewed_until, id=product_id, renewed_until=renewed_until)


async def delete(books: Books, product_id: int, *, now: datetime) -> bool:
    return await books.run(_sql.delete, id=product_id, now=now) == 1


async def secrets_of(books: Books, product_keys: Sequence[str]) -> dict[str, tuple[int, bytes, bool]]:
    """product key → (id, sealed secret, dynamic authentication)."""
    rows = await books.all(_sql.secrets_of, product_keys=list(product_keys))
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


async def due(books: Books, *, now: datetime) -> list[int]:
    return [row[0] for row in await books.all(_sql.due, now=now)]
