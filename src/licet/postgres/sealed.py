"""Everything in the books that is sealed, for a rotation of the keys: product and device secrets, kept answers."""

from collections.abc import Sequence

from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("sealed")

Sealed = tuple[int, str, bytes]  # id, what it is about, sealed
Resealed = tuple[int, bytes, bytes]  # id, the old seal, the new one


async def stale_products(books: Books, current: int, *, after: int, limit: int) -> list[Sealed]:
    rows = await books.all(_sql.stale_products, current=current, after=after, limit=limit)
    return [(row[0], row[1], row[2]) for row in rows]


async def reseal_products(books: Books, resealed: Sequence[Resealed]) -> int:
    return await books.run(_sql.reseal_products, **_arrays(resealed))


async def stale_devices(books: Books, current: int, *, after: int, limit: int) -> list[Sealed]:
    rows = await books.all(_sql.stale_devices, current=current, after=after, limit=limit)
    return [(row[0], row[1], row[2]) for row in rows]


async def reseal_devices(books: Books, resealed: Sequence[Resealed]) -> int:
    return await books.run(_sql.reseal_devices, **_arrays(resealed))


def _arrays(resealed: Sequence[Resealed]) -> dict[str, object]:
    return {
        "ids": [each[0] for each in resealed],
        "stale": [each[1] for each in resealed],
        "fresh": [each[2] for each in resealed],
    }


async def stale_answers(
    books: Books, current: int, *, after: tuple[str, str], limit: int
) -> list[tuple[str, str, bytes]]:
    """(scope, key, sealed)."""
    rows = await books.all(_sql.stale_answers, current=current, after_scope=after[0], after_key=after[1], limit=limit)
    return [(row[0], row[1], row[2]) for row in rows]


async def reseal_answers(books: Books, resealed: Sequence[tuple[str, str, bytes, bytes]]) -> int:
    """(scope, key, the old seal, the new one)."""
    return await books.run(
        _sql.reseal_answers,
        scopes=[each[0] for each in resealed],
        keys=[each[1] for each in resealed],
        stale=[each[2] for each in resealed],
        fresh=[each[3] for each in resealed],
    )
