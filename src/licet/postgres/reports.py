"""Reports of use from outside, in the books: each source and id once, for ever."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from licet.postgres.books import Books
from licet.postgres.queries import queries
from licet.postgres.usage import Tally

_sql = queries("reports")

Key = tuple[str, str, str]  # account, source, id


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Whose a product is; and which of its devices is meant, since when and until when, or that there is none."""

    account_id: str
    device_id: int | None
    enrolled_at: datetime | None
    deleted_at: datetime | None


async def enrolled(books: Books, devices: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Enrolled]:
    """By product key and device key; what is of no product of ours is not in it."""
    rows = await books.all(
        _sql.enrolled, product_keys=[each[0] for each in devices], device_keys=[each[1] for each in devices]
    )
    return {devices[row[0]]: Enrolled(row[1], row[2], row[3], row[4]) for row in rows}


async def remember(books: Books, keys: Sequence[Key], *, now: datetime) -> set[int]:
    """Returns the places of those that are new."""
    rows = await books.all(
        _sql.remember,
        account_ids=[each[0] for each in keys],
        sources=[each[1] for each in keys],
        ids=[each[2] for each in keys],
        now=now,
    )
    return {row[0] for row in rows}


async def note_reported(books: Books, tallies: Sequence[Tally]) -> None:
    await books.run(
        _sql.note_reported,
        product_keys=[tally.product_key for tally in tallies],
        device_keys=[tally.device_key for tally in tallies],
        slots=[tally.slot for tally in tallies],
        ups=[tally.up for tally in tallies],
        downs=[tally.down for tally in tallies],
    )


async def quarantine_size(books: Books) -> int:
    row = await books.one(_sql.quarantine_size)
    assert row is not None
    return int(row[0])
