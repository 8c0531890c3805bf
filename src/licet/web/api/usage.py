"""Usage: what was used, what of it an allowance covered, and what is excess; in all, by product, or by device.

Each kind of usage says how it is read; whose it is, which days, and which page is the same for all of them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from pydantic import Field

from licet.allowances import Usage
from licet.postgres import accounts, ota, storage, usage
from licet.postgres.books import Books
from licet.postgres.ota import OtaUsed
from licet.postgres.usage import MessagesUsed
from licet.refusals import Reason, Refused
from licet.web.fields import Day, DeviceKey, DeviceKeyInPath, Id, ProductKey, ProductKeyInPath, Told
from licet.web.paging import MOST, Page, Paged, cursor_at, page, place_of
from licet.web.problem import Malformed, WrongField
from licet.web.session import Ask, Reading

router = APIRouter(tags=["usage"])

MOST_DAYS = 366
_DEVICES_AT_ONCE = 500

Period = Literal["day", "month"]
Whose = Literal["total", "product", "device"]


class UsedTold(Told):
    """Covered + excess = used. ``on``: the day, or a month's first; ``allowance``: what that day allowed the device.

    Of OTA upgrades it is what the day's month allowed; ``bytes``: what they came to. Storage is used in MiB-days: whole
    MiB that were kept on a day, rounded up once per product and day; ``bytes``: what was stored that day.
    """

    on: date
    used: int
    covered: int
    excess: int
    up: int | None = None
    down: int | None = None
    bytes: int | None = None
    allowance: int | None = None
    product_key: str | None = None
    device_key: str | None = None


class DeviceUsageTold(Page[UsedTold]):
    """``today``: the account's day that is running, whatever days were asked for."""

    today: UsedTold | None


class DaysAsked(Paged):
    """Days of the account's calendar, the last one included; this month to date if none is said."""

    limit: Annotated[int, Field(ge=1, le=MOST, description="How many at once.")] = MOST
    from_: Annotated[Day | None, Field(alias="from")] = None
    to: Day | None = None
    by: Period = "day"


class UsageAsked(DaysAsked):
    """``device_key`` goes with its ``product_key``. Days without use are not listed."""

    account_id: Id | None = None
    product_key: ProductKey | None = None
    device_key: DeviceKey | None = None
    whose: Whose = "total"


class DeviceUsageAsked(DaysAsked):
    kind: Usage = Usage.MESSAGES


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read: of an account or (None) of all, and of one product or of each, in [first, last]."""

    account_id: str | None
    product_key: str | None
    first: date
    last: date
    today: date
    now: datetime
    by: Period
    whose: Whose


@dataclass(frozen=True, slots=True)
class Reads:
    """How a kind of usage is read. ``in_all``: in total or by product, so many rows behind a day and a product's key.

    ``of_devices``: device by device, each with its product's number in the books; ``today``: of one device. A kind of
    which no device is known by itself has neither.
    """

    in_all: Callable[[Books, Wanted, tuple[date, str], int], Awaitable[list[UsedTold]]]
    of_devices: Callable[[Books, Sequence[int], Wanted], Awaitable[list[tuple[int, UsedTold]]]] | None = None
    today: Callable[[Books, int, date], Awaitable[UsedTold]] | None = None


@router.get("/v1/usage/{kind}")
async def get_usage(kind: Usage, asked: Annotated[UsageAsked, Query()], ask: Reading) -> Page[UsedTold]:
    """What was used, by day or month: in total, by product (both: the first day first), or device by device."""
    reads = _reads(kind)
    account_id, device_id = await _named(ask, asked.account_id, asked.product_key, asked.device_key)
    wanted = await _wanted(ask, asked, account_id, asked.product_key, asked.whose)
    if device_id is not None or asked.whose == "device":
        return await _by_device(ask, asked, reads, wanted, device_id)
    after = _place(ask, asked, asked.whose, 2)
    behind = (date.fromisoformat(after[0]), after[1]) if after else (date.min, "")
    found = await reads.in_all(ask.books, wanted, behind, asked.limit + 1)
    return page(
        ask,
        asked,
        found,
        lambda each: (asked.whose, each.on.isoformat(), each.product_key or ""),
        lambda each: each,
    )


@router.get("/v1/devices/{pk}/{dk}/usage")
async def get_device_usage(
    pk: ProductKeyInPath, dk: DeviceKeyInPath, asked: Annotated[DeviceUsageAsked, Query()], ask: Reading
) -> DeviceUsageTold:
    """What one device used, by day or month, and what it has used today of what it may."""
    reads = _reads(asked.kind)
    account_id, device_id = await _named(ask, None, pk, dk)
    assert device_id is not None
    wanted = await _wanted(ask, asked, account_id, pk, "device")
    listed = await _by_device(ask, asked, reads, wanted, device_id)
    today = await reads.today(ask.books, device_id, wanted.today) if reads.today else None
    return DeviceUsageTold(data=listed.data, next_cursor=listed.next_cursor, today=today)


def _reads(kind: Usage) -> Reads:
    if kind not in READS:
        raise Refused(Reason.NOT_FOUND, thing="kind")
    return READS[kind]


async def _named(
    ask: Ask, account_id: str | None, product_key: str | None, device_key: str | None
) -> tuple[str | None, int | None]:
    """(account, device): whose usage is meant. What was deleted is found too, for what it used stays."""
    own = ask.account(account_id)
    if product_key is None:
        if device_key is not None:
            raise Malformed([_wrong("product_key", "A device's key goes with its product's.")])
        return own, None
    found = await usage.whose(ask.books, product_key, device_key)
    if found is None or not ask.by.sees(found[0]) or own not in (None, found[0]):
        raise Refused(Reason.NOT_FOUND, thing="product")
    if device_key is not None and found[1] is None:
        raise Refused(Reason.NOT_FOUND, thing="device")
    return found


async def _wanted(ask: Ask, asked: DaysAsked, account_id: str | None, product_key: str | None, whose: Whose) -> Wanted:
    """The days that are meant: without an account (an operator asks about all of them) those of UTC."""
    account = await accounts.get(ask.books, account_id) if account_id is not None else None
    if account_id is not None and account is None:
        raise Refused(Reason.NOT_FOUND, thing="account")
    today = ask.now.astimezone(ZoneInfo(account.time_zone if account else "UTC")).date()
    last = asked.to or max(today, asked.from_ or today)
    first = asked.from_ or last.replace(day=1)
    if first > last:
        raise Malformed([_wrong("from", "This is after the last day.")])
    if last - first >= timedelta(days=MOST_DAYS):
        raise Malformed([_wrong("from", f"Ask for at most {MOST_DAYS} days at a time.")])
    return Wanted(account_id, product_key, first, last, today, ask.now, asked.by, whose)


async def _by_device(ask: Ask, asked: DaysAsked, reads: Reads, wanted: Wanted, device_id: int | None) -> Page[UsedTold]:
    """One device, or a page of the fleet: so many devices are looked at, and those that used nothing are not listed.

    A cursor says after which device the next page begins, and (``half``) of which one it has days left to list.
    """
    if reads.of_devices is None:
        raise Malformed([_wrong("whose", "This kind is not known by device.")])
    half, product_id, device_key, on = _place(ask, asked, "device", 4) or (0, 0, "", "")
    keys: dict[tuple[int, str], int] = {(product_id, device_key): half} if half else {}
    more = False
    if device_id is None:
        fleet = await usage.fleet(
            ask.books,
            wanted.account_id,
            product_key=wanted.product_key,
            after=(product_id, device_key),
            limit=_DEVICES_AT_ONCE + 1,
        )
        more = len(fleet) > _DEVICES_AT_ONCE
        keys |= {(each[1], each[2]): each[0] for each in fleet[:_DEVICES_AT_ONCE]}
    found = await reads.of_devices(ask.books, [device_id] if device_id else list(keys.values()), wanted)
    rows = [
        each
        for each in found
        if (each[0], each[1].device_key) != (product_id, device_key) or each[1].on.isoformat() > on
    ]

    def place(row: tuple[int, UsedTold]) -> tuple[str | int, ...]:
        key = (row[0], row[1].device_key or "")
        return ("device", device_id or keys[key], *key, row[1].on.isoformat())

    listed = page(ask, asked, rows, place, lambda each: each[1])
    if listed.next_cursor is None and more:
        listed.next_cursor = cursor_at(ask, ("device", 0, *list(keys)[-1], ""))
    return listed


def _place(ask: Ask, asked: DaysAsked, whose: Whose, parts: int) -> Any:
    """Where the page begins, if the cursor is of a list that was asked for in the same way."""
    place = place_of(ask, asked)
    if place is None:
        return None
    if place[0] != whose or len(place) != parts + 1:
        raise Malformed([_wrong("cursor", "This is not a cursor of this list.")])
    return place[1:]


def _wrong(field: str, sentence: str) -> WrongField:
    return WrongField(where="query", field=field, sentence=sentence)


def _messages(used: MessagesUsed) -> UsedTold:
    return UsedTold(
        on=used.on,
        used=used.drawn.used,
        covered=used.drawn.covered,
        excess=used.drawn.excess,
        up=used.up,
        down=used.down,
        allowance=used.allowance,
        product_key=used.product_key,
        device_key=used.device_key,
    )


async def _messages_in_all(books: Books, wanted: Wanted, after: tuple[date, str], limit: int) -> list[UsedTold]:
    found = await usage.messages_used(
        books,
        wanted.account_id,
        first=wanted.first,
        last=wanted.last,
        product_key=wanted.product_key,
        by=wanted.by,
        whose="product" if wanted.whose == "product" else "total",
        after=after,
        limit=limit,
    )
    return [_messages(each) for each in found]


async def _messages_of_devices(books: Books, device_ids: Sequence[int], wanted: Wanted) -> list[tuple[int, UsedTold]]:
    found = await usage.messages_used_by(books, device_ids, first=wanted.first, last=wanted.last, by=wanted.by)
    return [(each.product_id, _messages(each)) for each in found]


async def _messages_today(books: Books, device_id: int, today: date) -> UsedTold:
    if found := await usage.messages_used_by(books, [device_id], first=today, last=today):
        return _messages(found[0])
    allowance = await usage.messages_allowed(books, device_id, used_on=today)
    return UsedTold(on=today, used=0, covered=0, excess=0, up=0, down=0, allowance=allowance)


def _ota(used: OtaUsed) -> UsedTold:
    return UsedTold(
        on=used.on,
        used=used.drawn.used,
        covered=used.drawn.covered,
        excess=used.drawn.excess,
        bytes=used.bytes,
        allowance=used.allowance,
        product_key=used.product_key,
        device_key=used.device_key,
    )


async def _ota_in_all(books: Books, wanted: Wanted, after: tuple[date, str], limit: int) -> list[UsedTold]:
    found = await ota.ota_used(
        books,
        wanted.account_id,
        first=wanted.first,
        last=wanted.last,
        product_key=wanted.product_key,
        by=wanted.by,
        whose="product" if wanted.whose == "product" else "total",
        after=after,
        limit=limit,
        now=wanted.now,
    )
    return [_ota(each) for each in found]


async def _ota_of_devices(books: Books, device_ids: Sequence[int], wanted: Wanted) -> list[tuple[int, UsedTold]]:
    found = await ota.ota_used(
        books,
        wanted.account_id,
        first=wanted.first,
        last=wanted.last,
        device_ids=device_ids,
        by=wanted.by,
        whose="device",
        now=wanted.now,
    )
    return [(each.product_id, _ota(each)) for each in found]


async def _storage_in_all(books: Books, wanted: Wanted, after: tuple[date, str], limit: int) -> list[UsedTold]:
    found = await storage.storage_used(
        books,
        wanted.account_id,
        first=wanted.first,
        last=wanted.last,
        product_key=wanted.product_key,
        by=wanted.by,
        whose="product" if wanted.whose == "product" else "total",
        after=after,
        limit=limit,
        now=wanted.now,
    )
    return [
        UsedTold(
            on=each.on,
            used=each.drawn.used,
            covered=each.drawn.covered,
            excess=each.drawn.excess,
            bytes=each.stored_bytes,
            product_key=each.product_key,
        )
        for each in found
    ]


#: How each kind is read; what is not in it is not metered yet.
READS: dict[Usage, Reads] = {
    Usage.MESSAGES: Reads(_messages_in_all, _messages_of_devices, _messages_today),
    Usage.OTA: Reads(_ota_in_all, _ota_of_devices),
    Usage.STORAGE: Reads(_storage_in_all),
}
