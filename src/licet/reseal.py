"""Reseal: after a new key was put on the ring, everything that was sealed with an older one is sealed again."""

from licet.postgres import sealed
from licet.postgres.books import Books

_BITE = 1_000  # secrets sealed in one transaction


async def reseal(books: Books) -> int:
    """Seal again what is not under the current key, while licet runs. Returns how many that were.

    In bites, each from where the last one ended; a secret that somebody changed meanwhile keeps its newer seal. So it
    may stop anywhere and be started again. Raises ValueError at a secret that no key opens.
    """
    return await _products(books) + await _devices(books) + await _answers(books)


async def _products(books: Books) -> int:
    done, after = 0, 0
    while stale := await sealed.stale_products(books, books.keyring.current, after=after, limit=_BITE):
        fresh = [(row, seal, books.keyring.seal(books.keyring.open(seal, about), about)) for row, about, seal in stale]
        async with books.transaction() as bound:
            done += await sealed.reseal_products(bound, fresh)
        after = stale[-1][0]
    return done


async def _devices(books: Books) -> int:
    done, after = 0, 0
    while stale := await sealed.stale_devices(books, books.keyring.current, after=after, limit=_BITE):
        fresh = [(row, seal, books.keyring.seal(books.keyring.open(seal, about), about)) for row, about, seal in stale]
        async with books.transaction() as bound:
            done += await sealed.reseal_devices(bound, fresh)
        after = stale[-1][0]
    return done


async def _answers(books: Books) -> int:
    done, after = 0, ("", "")
    while stale := await sealed.stale_answers(books, books.keyring.current, after=after, limit=_BITE):
        fresh = [
            (scope, key, seal, books.keyring.seal(books.keyring.open(seal, f"{scope} {key}"), f"{scope} {key}"))
            for scope, key, seal in stale
        ]
        async with books.transaction() as bound:
            done += await sealed.reseal_answers(bound, fresh)
        after = stale[-1][:2]
    return done
