"""Messages to devices in the books: written down, sent, delivered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from licet.messages import Downlink
from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("downlinks")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that the broker does not have yet. ``after_sequence``: somebody has tried, and the broker may have it,
    beyond that place of its stream."""

    id: str
    product_key: str
    device_key: str
    topic: str
    payload: bytes
    after_sequence: int | None


async def cut_off_until(books: Books, device_id: int, *, now: datetime) -> datetime | None:
    row = await books.one(_sql.cut_off_until, device_id=device_id, now=now)
    return row[0] if row else None


async def insert(
    books: Books, *, product_id: int, device_id: int, topic: str, payload: bytes, asked_by: str, now: datetime
) -> Downlink:
    row = await books.one(
        _sql.insert,
        product_id=product_id,
        device_id=device_id,
        topic=topic,
        payload=payload,
        asked_by=asked_by,
        now=now,
    )
    assert row is not None
    return Downlink(*row)


async def page(
    books: Books, device_id: int, *, message_id: str | None = None, after: int | None = None, limit: int
) -> list[Downlink]:
    """``after``: the ordinal of the last message of the page before."""
    rows = await books.all(_sql.page, device_id=device_id, id=message_id, after=after, limit=limit)
    return [Downlink(*row) for row in rows]


async def waiting(books: Books, *, limit: int) -> list[Waiting]:
    return [Waiting(*row) for row in await books.all(_sql.waiting, limit=limit)]


async def begin(books: Books, ids: Sequence[str], *, after_sequence: int) -> None:
    await books.run(_sql.begin, ids=list(ids), after_sequence=after_sequence)


async def sent(books: Books, sequences: Mapping[str, int]) -> None:
    """``sequences``: where each message lies, by its id."""
    await books.run(_sql.sent, ids=list(sequences), sequences=list(sequences.values()))


async def delivered(books: Books, sequences: Iterable[int], *, now: datetime) -> set[int]:
    return {row[0] for row in await books.all(_sql.delivered, sequences=list(sequences), now=now)}


async def forget(books: Books, untils: Mapping[int, datetime]) -> int:
    """``untils``: an instant for each product's id."""
    return await books.run(_sql.forget, product_ids=list(untils), untils=list(untils.values()))
