"""Messages that were used, in the books: claims on the broker's streams, deltas, the day's counters, cut-offs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple

from psycopg import sql

from licet.accounts import Mode
from licet.allowances import WARNINGS, Drawn
from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("usage")


class Tally(NamedTuple):
    """What one device used in one quarter of an hour: messages up and down, and the bytes that are stored of them.

    ``slot``: quarters of an hour since 1970 in UTC; no calendar's day begins inside of one.
    """

    product_key: str
    device_key: str
    slot: int
    up: int
    down: int
    bytes: int


class Claim(NamedTuple):
    """Messages of a stream that one reader counts: the sequences from first to last."""

    stream: str
    first: int
    last: int


async def know_stream(books: Books, stream: str) -> None:
    await books.run(_sql.know_stream, stream=stream)


async def lock_stream(books: Books, stream: str) -> int:
    row = await books.one(_sql.lock_stream, stream=stream)
    assert row is not None
    return int(row[0])


async def set_claimed_sequence(books: Books, stream: str, claimed_sequence: int) -> None:
    await books.run(_sql.set_claimed_sequence, stream=stream, claimed_sequence=claimed_sequence)


async def insert_claim(books: Books, claim: Claim, *, claimed_by: str, now: datetime) -> None:
    await books.run(
        _sql.insert_claim,
        stream=claim.stream,
        first_sequence=claim.first,
        last_sequence=claim.last,
        claimed_by=claimed_by,
        now=now,
    )


async def take_over(books: Books, stream: str, *, stale: datetime, claimed_by: str, now: datetime) -> Claim | None:
    row = await books.one(_sql.take_over, stream=stream, stale=stale, claimed_by=claimed_by, now=now)
    return Claim(stream, row[0], row[1]) if row else None


async def finish_claim(books: Books, claim: Claim) -> bool:
    return await books.run(_sql.finish_claim, stream=claim.stream, first_sequence=claim.first) == 1


async def behind(books: Books) -> dict[str, tuple[int, int | None]]:
    """stream → (claimed until, the first sequence that was claimed and is not counted)."""
    return {row[0]: (row[1], row[2]) for row in await books.all(_sql.behind)}


async def counted_until(books: Books, stream: str) -> int:
    """The last sequence of a stream up to which all is counted. What lies behind it must not be purged."""
    claimed_sequence, uncounted = (await behind(books)).get(stream, (0, None))
    return claimed_sequence if uncounted is None else uncounted - 1


@dataclass(frozen=True, slots=True)
class CountedOn:
    """What was counted of a day, and of which messages, at one instant.

    ``used``: product key and device key → up, down. ``time_zones``: of products. ``claimed_to``: of streams.
    """

    used: dict[tuple[str, str], tuple[int, int]]
    time_zones: dict[str, str]
    claimed_to: dict[str, int]
    uncounted: list[Claim]


async def counted_on(books: Books, on: date, account_id: str | None) -> CountedOn:
    rows = await books.all(_sql.counted_on, on=on, account_id=account_id)
    return CountedOn(
        {(row[1], row[2]): (row[3], row[4]) for row in rows if row[0] == "device"},
        {row[1]: row[2] for row in rows if row[0] == "product"},
        {row[1]: row[4] for row in rows if row[0] == "stream"},
        [Claim(row[1], row[3], row[4]) for row in rows if row[0] == "claim"],
    )


async def devices_named(books: Books, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, int, bool]]:
    """(product key, device key) → (device, product, virtual), of those that there are."""
    rows = await books.all(
        _sql.devices_named, product_keys=[name[0] for name in names], device_keys=[name[1] for name in names]
    )
    return {names[row[0]]: (row[1], row[2], row[3]) for row in rows}


async def days_of(books: Books, slots: Sequence[tuple[int, int]]) -> dict[tuple[int, int], date]:
    """(product, slot) → its day."""
    rows = await books.all(
        _sql.days_of, product_ids=[product_id for product_id, _ in slots], slots=[slot for _, slot in slots]
    )
    return {slot: row[0] for slot, row in zip(slots, rows, strict=True)}


async def add_to_products(books: Books, added: Sequence[tuple[int, date, int, int]]) -> None:
    """``added``: products, days, messages and bytes."""
    await books.run(
        _sql.add_to_products,
        product_ids=[each[0] for each in added],
        days=[each[1] for each in added],
        messages=[each[2] for each in added],
        bytes=[each[3] for each in added],
    )


async def quarantine(books: Books, kept: Sequence[tuple[str, str, dict[str, Any]]], *, now: datetime) -> None:
    """``kept``: (source, reason, what was reported)."""
    await books.run(
        _sql.quarantine,
        sources=[each[0] for each in kept],
        reasons=[each[1] for each in kept],
        # A text may hold a NUL, as JSON can say it; the books cannot.
        reported=[json.dumps(each[2]).replace("\\u0000", "\\ufffd") for each in kept],
        now=now,
    )


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Use that no device could be named for, as it was reported, and why."""

    id: int
    at: datetime
    source: str
    reason: str
    reported: dict[str, Any]


async def quarantined(books: Books, *, after: int | None, limit: int) -> list[Quarantined]:
    """``after``: the id of the last one of the page before."""
    return [Quarantined(*row) for row in await books.all(_sql.quarantined, after=after, limit=limit)]


async def days_to_fold(books: Books) -> list[date]:
    return [row[0] for row in await books.all(_sql.days_to_fold)]


async def make_partitions(books: Books, days: Sequence[date]) -> None:
    """There is a partition of the counters for each of these days' months."""
    for first in sorted({day.replace(day=1) for day in days}):
        after = (first + timedelta(days=32)).replace(day=1)
        statement = sql.SQL(
            "CREATE TABLE IF NOT EXISTS {} PARTITION OF message_counts FOR VALUES FROM ({}) TO ({})"
        ).format(sql.Identifier(f"message_counts_{first:%Y_%m}"), sql.Literal(first), sql.Literal(after))
        await books.run(statement.as_bytes())


async def clear_deltas(books: Books) -> None:
    """Give back the room of deltas that were folded, so that there is little to look through."""
    await books.vacuum("message_deltas")


@dataclass(frozen=True, slots=True)
class Crossing:
    """A device came near its day's allowance, or went beyond it. ``ends_at``: when that day ends."""

    account_id: str
    product_key: str
    device_id: int
    device_key: str
    used_on: date
    mode: Mode
    ends_at: datetime
    before: int
    used: int
    allowance: int

    @property
    def excess(self) -> int:
        """How much more it is beyond the allowance than it was."""
        return max(0, self.used - self.allowance) - max(0, self.before - self.allowance)


async def fold(books: Books, days: Sequence[date], *, most: int) -> list[Crossing]:
    rows = await books.all(_sql.fold, days=list(days), most=most, percents=list(WARNINGS), first_percent=min(WARNINGS))
    return [
        Crossing(row[0], row[1], row[2], row[3], row[4], Mode(row[5]), row[6], row[7], row[8], row[9]) for row in rows
    ]


async def cut_off(books: Books, cut: Sequence[Crossing]) -> set[int]:
    """Returns the ids of those that were not cut off already."""
    rows = await books.all(
        _sql.cut_off,
        device_ids=[each.device_id for each in cut],
        days=[each.used_on for each in cut],
        ends_at=[each.ends_at for each in cut],
    )
    return {row[0] for row in rows}


async def let_back_in(books: Books, account_id: str, *, now: datetime) -> None:
    await books.run(_sql.let_back_in, account_id=account_id, now=now)


@dataclass(frozen=True, slots=True)
class MessagesUsed:
    """Messages of a day or a month: of everything that was asked about, or of one product or device of it.

    ``allowance``: what that day allowed the device; a virtual one may use what it likes.
    """

    on: date
    product_key: str | None
    device_key: str | None
    up: int
    down: int
    drawn: Drawn
    allowance: int | None = None
    product_id: int = 0


async def messages_used(
    books: Books,
    account_id: str | None,
    *,
    first: date,
    last: date,
    product_key: str | None = None,
    by: Literal["day", "month"] = "day",
    whose: Literal["total", "product"] = "total",
    after: tuple[date, str] = (date.min, ""),
    limit: int | None = None,
) -> list[MessagesUsed]:
    """``after``: day or month and product key (of a total: an empty one) of the last row of the page before."""
    rows = await books.all(
        _sql.messages_used,
        account_id=account_id,
        first=first,
        last=last,
        days=_days(max(first, after[0]), last),
        product_key=product_key,
        by=by,
        whose=whose,
        after_on=after[0],
        after_key=after[1],
        limit=limit,
    )
    return [MessagesUsed(row[0], row[1] or None, None, row[2], row[3], Drawn(row[4], row[5])) for row in rows]


async def messages_used_by(
    books: Books, device_ids: Sequence[int], *, first: date, last: date, by: Literal["day", "month"] = "day"
) -> list[MessagesUsed]:
    """Product by product, by device key, the first day first."""
    rows = await books.all(
        _sql.messages_used_by, device_ids=list(device_ids), first=first, last=last, days=_days(first, last), by=by
    )
    return [MessagesUsed(row[0], row[1], row[2], row[3], row[4], Drawn(row[5], row[6]), row[7], row[8]) for row in rows]


async def messages_allowed(books: Books, device_id: int, *, used_on: date) -> int | None:
    row = await books.one(_sql.messages_allowed, device_id=device_id, used_on=used_on)
    return row[0] if row else None


async def whose(books: Books, product_key: str, device_key: str | None = None) -> tuple[str, int | None] | None:
    """(account, device or None); None if there never was such a product."""
    row = await books.one(_sql.whose, product_key=product_key, device_key=device_key)
    return (row[0], row[1]) if row else None


async def fleet(
    books: Books,
    account_id: str | None,
    *,
    product_key: str | None = None,
    after: tuple[int, str] = (0, ""),
    limit: int,
) -> list[tuple[int, int, str]]:
    """(device id, product id, device key). ``after``: product id and device key of the last one of the page before."""
    rows = await books.all(
        _sql.fleet,
        account_id=account_id,
        product_key=product_key,
        after_product=after[0],
        after_key=after[1],
        limit=limit,
    )
    return [(row[0], row[1], row[2]) for row in rows]


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
