"""Upgrades of devices in the books, and what they come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, NamedTuple

from licet.accounts import Mode
from licet.allowances import Drawn
from licet.firmware import Transfer, Upgrade, UpgradeState
from licet.postgres.books import Books, Row
from licet.postgres.queries import queries

_sql = queries("ota")


class HeldDevice(NamedTuple):
    """A device whose row this transaction holds, and whose it is."""

    id: int
    device_key: str
    virtual: bool
    product_id: int
    product_key: str
    account_id: str


class Standing(NamedTuple):
    """How a device stands in the running month; ``held``: the attempts that are reserved or completed."""

    month_on: date
    mode: Mode
    allowance: int
    held: int

    @property
    def left(self) -> int:
        return max(0, self.allowance - self.held)


async def lock_device(books: Books, product_key: str, device_key: str) -> HeldDevice | None:
    row = await books.one(_sql.lock_device, product_key=product_key, device_key=device_key)
    return HeldDevice._make(row) if row else None


async def standing(books: Books, device_id: int, *, now: datetime) -> Standing:
    row = await books.one(_sql.standing, device_id=device_id, now=now)
    assert row is not None
    return Standing(row[0], Mode(row[1]), row[2], row[3])


async def latest(books: Books, device_id: int, firmware_id: str) -> Transfer | None:
    row = await books.one(_sql.latest, device_id=device_id, firmware_id=firmware_id)
    return Transfer(row[0], UpgradeState(row[1]), row[2], row[3]) if row else None


async def insert_reserved(
    books: Books,
    device: HeldDevice,
    *,
    firmware_id: str | None,
    bytes: int,  # noqa: A002 - the trade's own word
    attempts: int,
    month_on: date,
    now: datetime,
) -> str:
    row = await books.one(
        _sql.insert_reserved,
        device_id=device.id,
        product_id=device.product_id,
        firmware_id=firmware_id,
        bytes=bytes,
        attempts=attempts,
        month_on=month_on,
        now=now,
    )
    assert row is not None
    return str(row[0])


async def take_up(
    books: Books,
    upgrade_id: str,
    *,
    bytes: int,  # noqa: A002
    attempts: int,
    month_on: date,
    now: datetime,
) -> bool:
    return await books.run(_sql.take_up, id=upgrade_id, bytes=bytes, attempts=attempts, month_on=month_on, now=now) == 1


async def end_upgrade(
    books: Books,
    upgrade_id: str,
    state: UpgradeState,
    *,
    bytes: int | None,  # noqa: A002
    attempts: int | None,
    now: datetime,
) -> bool:
    ended = await books.run(_sql.end_upgrade, id=upgrade_id, state=state, bytes=bytes, attempts=attempts, now=now)
    return ended == 1


async def add_sent(books: Books, upgrade_id: str, sent: int, *, now: datetime) -> None:
    await books.run(_sql.add_sent, id=upgrade_id, sent=sent, now=now)


async def fail_idle(books: Books, *, since: datetime, most: int, now: datetime) -> list[tuple[str, str, str, str]]:
    """Returns (account id, product key, device key, id) of each."""
    rows = await books.all(_sql.fail_idle, since=since, most=most, now=now)
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def page(
    books: Books,
    account_id: str | None,
    *,
    id: str | None = None,  # noqa: A002
    product_key: str | None = None,
    device_key: str | None = None,
    campaign_id: str | None = None,
    state: UpgradeState | None = None,
    after: tuple[datetime, str] | None = None,
    limit: int,
    now: datetime,
) -> list[Upgrade]:
    """Latest first. ``after``: when the last one of the page before began, and its id."""
    rows = await books.all(
        _sql.page,
        account_id=account_id,
        id=id,
        product_key=product_key,
        device_key=device_key,
        campaign_id=campaign_id,
        state=state,
        after_at=after and after[0],
        after_id=after and after[1],
        limit=limit,
        now=now,
    )
    return [_upgrade(row) for row in rows]


async def get(books: Books, upgrade_id: str, *, now: datetime) -> Upgrade | None:
    found = await page(books, None, id=upgrade_id, limit=1, now=now)
    return found[0] if found else None


def _upgrade(row: Row) -> Upgrade:
    state, attempts, covered = UpgradeState(row[6]), row[9], row[11]
    charged = attempts if state in (UpgradeState.RESERVED, UpgradeState.COMPLETED) else 0
    return Upgrade(
        id=row[0],
        account_id=row[1],
        product_key=row[2],
        device_key=row[3],
        campaign_id=row[4],
        firmware_id=row[5],
        state=state,
        bytes=row[7],
        sent=row[8],
        attempts=attempts,
        allowance=row[10],
        drawn=Drawn(covered, charged - covered),
        began_at=row[12],
        reserved_at=row[13],
        ended_at=row[14],
    )


@dataclass(frozen=True, slots=True)
class OtaUsed:
    """Upgrades of a day or a month: of everything that was asked about, or of one product or device of it.

    ``product_id`` and ``allowance`` (of the month that the day is in) are known by device alone.
    """

    on: date
    product_id: int
    product_key: str | None
    device_key: str | None
    upgrades: int
    bytes: int
    drawn: Drawn
    allowance: int | None


async def ota_used(
    books: Books,
    account_id: str | None,
    *,
    first: date,
    last: date,
    product_key: str | None = None,
    device_ids: Sequence[int] | None = None,
    by: Literal["day", "month"] = "month",
    whose: Literal["total", "product", "device"] = "total",
    after: tuple[date, str] = (date.min, ""),
    limit: int | None = None,
    now: datetime,
) -> list[OtaUsed]:
    """``now``: a month that is still running is drawn from the allowance that counts now.

    ``after``, in total or by product: day and product key of the last one of the page before.
    """
    rows = await books.all(
        _sql.ota_used,
        account_id=account_id,
        first=first,
        last=last,
        product_key=product_key,
        device_ids=None if device_ids is None else list(device_ids),
        by=by,
        whose=whose,
        after_on=after[0],
        after_key=after[1],
        limit=limit,
        now=now,
    )
    return [
        OtaUsed(row[0], row[1], row[2] or None, row[3] or None, row[4], row[5], Drawn(row[6], row[7]), row[8])
        for row in rows
    ]
