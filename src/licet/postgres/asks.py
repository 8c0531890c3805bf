"""Requests that carried an ``Idempotency-Key``, and what each was answered. There is no time limit."""

from dataclasses import dataclass
from datetime import datetime

from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("asks")


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was answered: its fingerprint, the HTTP status, and the sealed answer."""

    fingerprint: bytes
    status: int
    sealed_answer: bytes


async def claim(books: Books, *, scope: str, key: str, fingerprint: bytes, now: datetime) -> bool:
    """Whether the key is ours. If not, somebody was first, and is done."""
    return await books.run(_sql.claim, scope=scope, key=key, fingerprint=fingerprint, now=now) == 1


async def answered(books: Books, *, scope: str, key: str) -> Answered | None:
    row = await books.one(_sql.answered, scope=scope, key=key)
    return Answered(*row) if row else None


async def answer(books: Books, *, scope: str, key: str, status: int, sealed_answer: bytes) -> None:
    """Remember the answer, in the transaction that claimed the key."""
    await books.run(_sql.answer, scope=scope, key=key, status=status, sealed_answer=sealed_answer)
