"""The audit log: who changed what, before and after, when, from where (§8). Secrets are never among it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from licet.accounts import By
from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("audit")


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log. ``before`` is None for what was made, ``after`` for what was removed."""

    id: int
    at: datetime
    account_id: str | None
    by_id: str
    by_name: str
    address: str | None
    act: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


async def record(
    books: Books,
    *,
    by: By,
    act: str,
    subject: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    account_id: str | None,
    now: datetime,
) -> None:
    """Write one change down, in its transaction: the act (a verb in the past tense) and what it was done to."""
    await books.run(
        _sql.record,
        now=now,
        account_id=account_id,
        by_id=by.id,
        by_name=by.name,
        address=by.address,
        act=act,
        subject=subject,
        before=_json(before),
        after=_json(after),
    )


async def page(
    books: Books,
    account_id: str | None,
    *,
    by_id: str | None = None,
    act: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: int | None,
    limit: int,
) -> list[Change]:
    """Newest first: of one account, or (None) of all; ``after`` is the id of the last line seen."""
    rows = await books.all(
        _sql.page,
        account_id=account_id,
        by_id=by_id,
        act=act,
        subject=subject,
        since=since,
        until=until,
        after=after,
        limit=limit,
    )
    return [Change(*row) for row in rows]


def _json(facts: dict[str, Any] | None) -> str | None:
    return None if facts is None else json.dumps(facts, default=_as_text)


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)
