"""What has happened: written with what made it true, told to the outside afterwards, under the same id each time."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from licet.events import Event, Happening, Kind
from licet.postgres.books import Books, Row
from licet.postgres.queries import queries

_sql = queries("events")


async def tell(books: Books, happenings: Sequence[Happening], *, now: datetime) -> None:
    """Write down what has just become true, in the transaction that makes it so."""
    if not happenings:
        return
    await books.run(
        _sql.tell,
        now=now,
        kinds=[happening.kind.value for happening in happenings],
        account_ids=[happening.account_id for happening in happenings],
        product_keys=[happening.product_key for happening in happenings],
        facts=[json.dumps(happening.facts, default=_as_text) for happening in happenings],
    )


async def untold(books: Books, *, limit: int) -> list[Event]:
    """The oldest events that are still to be told, held until the transaction ends; others skip them meanwhile."""
    return [_event(row) for row in await books.all(_sql.untold, limit=limit)]


async def mark_told(books: Books, ids: Sequence[int], *, now: datetime) -> None:
    await books.run(_sql.mark_told, ids=list(ids), now=now)


async def page(
    books: Books,
    account_id: str | None,
    *,
    product_key: str | None = None,
    kind: Kind | None = None,
    after: int | None,
    limit: int,
) -> list[Event]:
    """Newest first: of one account, or (None) of all; ``after`` is the id of the last event seen."""
    rows = await books.all(
        _sql.page,
        account_id=account_id,
        product_key=product_key,
        kind=kind and kind.value,
        after=after,
        limit=limit,
    )
    return [_event(row) for row in rows]


def _event(row: Row) -> Event:
    event_id, at, kind, account_id, product_key, facts = row
    return Event(event_id, at, Kind(kind), account_id, product_key, facts)


def _as_text(value: object) -> str:
    """Instants among the facts, in UTC. Whatever else is no fact that can be told."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} is not a fact that can be told")
