"""Why is this 4,310? What a kind of a statement is made of: by product, by device, by day (rule G5).

Of a closed month that is what was written down when it was closed. Of one that is not it is what the counters say now.
The parts of a kind add up to its excess; those of one product or device to the part that it has of it.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import date, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Response
from pydantic import Field

from licet.allowances import Usage
from licet.postgres import statements, usage
from licet.postgres.statements import Part
from licet.refusals import Reason, Refused
from licet.statements import Statement, next_month
from licet.web.api.statements import known_statement
from licet.web.api.usage import READS, UsedTold, Wanted
from licet.web.exports import ALSO, Format, Row, export, format_of
from licet.web.fields import DeviceKey, IdInPath, MonthInPath, ProductKey, Told
from licet.web.paging import Page, Paged, page, place_of
from licet.web.problem import Malformed, WrongField
from licet.web.session import Ask, Reading

router = APIRouter(tags=["statements"])

By = Literal["product", "device", "day"]
Placed = tuple["PartTold", tuple[str | int, ...]]  # a part, and its place in the list

_HEADINGS = ("from_month", "product_key", "device_key", "on", "excess", "used", "allowance")
_AT_ONCE = 500


class PartTold(Told):
    """``on``: the day; of OTA a month's first. Of a single device's day also what it used, and what it was allowed.

    ``from_month``: as on the statement's line.
    """

    from_month: Annotated[str, Field(examples=["2026-01"])]
    product_key: str | None = None
    device_key: str | None = None
    on: date | None = None
    excess: int
    used: int | None = None
    allowance: int | None = None


class PartsAsked(Paged):
    """``device_key`` goes with its ``product_key``. Whatever is not in excess is not listed."""

    by: By = "product"
    product_key: ProductKey | None = None
    device_key: DeviceKey | None = None
    format: Annotated[Format | None, Field(description="CSV and XLSX hold all of it.")] = None


@router.get("/v1/statements/{account_id}/{month}/{kind}", response_model=Page[PartTold], responses=ALSO)
async def list_parts(
    account_id: IdInPath, month: MonthInPath, kind: Usage, asked: Annotated[PartsAsked, Query()], ask: Reading
) -> Page[PartTold] | Response:
    """What one kind of a statement is made of, down to the device and the day."""
    return await parts_of(ask, await known_statement(ask, account_id, month), kind, asked)


async def parts_of(ask: Ask, of: Statement, kind: Usage, asked: PartsAsked) -> Page[PartTold] | Response:
    """The same of a statement that was read already."""
    if asked.device_key is not None and asked.product_key is None:
        raise Malformed([_wrong("product_key", "A device's key goes with its product's.")])
    if kind is Usage.STORAGE and (asked.by == "device" or asked.device_key is not None):
        raise Malformed([_wrong("by", "This kind is not known by device.")])
    format_ = format_of(ask.request, asked.format)
    if format_ is not Format.JSON:
        name = f"statement-{of.account_id}-{of.month:%Y-%m}-{kind.value}-by-{asked.by}"
        return export(format_, name, _HEADINGS, _all(ask, of, kind, asked), now=ask.now)
    after = place_of(ask, asked)
    head = ("live" if of.closed_at is None else "closed", asked.by)
    if after is not None and after[:2] != head:
        raise Malformed([_wrong("cursor", "This is not a cursor of this list.")])
    found = await _read(ask, of, kind, asked, after and after[2:], asked.limit + 1)
    return page(ask, asked, found, lambda each: (*head, *each[1]), lambda each: each[0])


def _wrong(field: str, sentence: str) -> WrongField:
    return WrongField(where="query", field=field, sentence=sentence)


async def _all(ask: Ask, of: Statement, kind: Usage, asked: PartsAsked) -> AsyncGenerator[Row, None]:
    after = None
    while found := await _read(ask, of, kind, asked, after, _AT_ONCE):
        after = found[-1][1]
        for part, _ in found:
            yield [part.from_month, part.product_key, part.device_key, part.on, part.excess, part.used, part.allowance]


async def _read(ask: Ask, of: Statement, kind: Usage, asked: PartsAsked, after: Any, limit: int) -> list[Placed]:
    if of.closed_at is not None:
        return await _closed(ask, of, kind, asked, after, limit)
    if kind not in READS:
        return []
    live = Live(ask, of, kind, asked)
    if asked.device_key is not None:
        return (await live.of_one_device(asked.device_key, after))[:limit]
    if asked.by == "device":
        return await live.by_device(after, limit)
    return await live.in_all(after, limit)


async def _closed(ask: Ask, of: Statement, kind: Usage, asked: PartsAsked, after: Any, limit: int) -> list[Placed]:
    behind = (date.fromisoformat(after[0]), after[1], after[2], date.fromisoformat(after[3])) if after else None
    found = await statements.parts(
        ask.books,
        of.account_id,
        of.month,
        kind,
        by=asked.by,
        product_key=asked.product_key,
        device_key=asked.device_key,
        after=behind,
        limit=limit,
    )
    return [
        (
            _told(each, asked),
            (each.from_month.isoformat(), each.product_key, each.device_key, each.on.isoformat()),
        )
        for each in found
    ]


def _told(part: Part, asked: PartsAsked) -> PartTold:
    by_day, alone = asked.by == "day", asked.by == "day" and asked.device_key is not None
    return PartTold(
        from_month=f"{part.from_month:%Y-%m}",
        product_key=part.product_key or asked.product_key,
        device_key=part.device_key or asked.device_key,
        on=part.on if by_day else None,
        excess=part.excess,
        used=part.used if alone else None,
        allowance=part.allowance if alone else None,
    )


class Live:
    """A month that is not closed, as its usage is read; of what that lists only the excess."""

    def __init__(self, ask: Ask, of: Statement, kind: Usage, asked: PartsAsked) -> None:
        self._ask, self._of, self._kind, self._asked = ask, of, kind, asked
        self._reads = READS[kind]

    async def in_all(self, after: Any, limit: int) -> list[Placed]:
        """By product or by day."""
        wanted = self._wanted("product" if self._asked.by == "product" else "total")
        at = (date.fromisoformat(after[0]), str(after[1])) if after else (date.min, "")
        listed: list[Placed] = []
        while len(listed) < limit:
            rows = await self._reads.in_all(self._ask.books, wanted, at, _AT_ONCE)
            for row in rows:
                at = row.on, row.product_key or ""
                if row.excess:
                    listed.append((self._part(row), (row.on.isoformat(), row.product_key or "")))
            if len(rows) < _AT_ONCE:
                break
        return listed[:limit]

    async def by_device(self, after: Any, limit: int) -> list[Placed]:
        """The fleet, so many devices at a time."""
        at = (int(after[0]), str(after[1])) if after else (0, "")
        listed: list[Placed] = []
        while self._reads.of_devices is not None and len(listed) < limit:
            fleet = await usage.fleet(
                self._ask.books,
                self._of.account_id,
                product_key=self._asked.product_key,
                after=at,
                limit=_AT_ONCE,
            )
            rows = await self._of_devices([each[0] for each in fleet])
            listed += [(self._part(row), (product_id, row.device_key or "")) for product_id, row in rows if row.excess]
            if len(fleet) < _AT_ONCE:
                break
            at = fleet[-1][1], fleet[-1][2]
        return listed[:limit]

    async def of_one_device(self, device_key: str, after: Any) -> list[Placed]:
        """One device, day by day or as a whole."""
        assert self._asked.product_key is not None
        whose = await usage.whose(self._ask.books, self._asked.product_key, device_key)
        if whose is None or whose[0] != self._of.account_id or whose[1] is None:
            raise Refused(Reason.NOT_FOUND, thing="device")
        rows = [row for _, row in await self._of_devices([whose[1]]) if row.excess]
        behind = str(after[0]) if after else ""
        return [(self._part(row), (row.on.isoformat(), "")) for row in rows if row.on.isoformat() > behind]

    async def _of_devices(self, device_ids: Sequence[int]) -> list[tuple[int, UsedTold]]:
        if self._reads.of_devices is None or not device_ids:
            return []
        return await self._reads.of_devices(self._ask.books, device_ids, self._wanted("device"))

    def _wanted(self, whose: Literal["total", "product", "device"]) -> Wanted:
        """Upgrades are allowed by the month: the days of their excess would be the order they came in."""
        daily = self._asked.by == "day" and self._kind is not Usage.OTA
        return Wanted(
            account_id=self._of.account_id,
            product_key=self._asked.product_key,
            first=self._of.month,
            last=next_month(self._of.month) - timedelta(days=1),
            today=self._ask.now.astimezone(ZoneInfo(self._of.time_zone)).date(),
            now=self._ask.now,
            by="day" if daily else "month",
            whose=whose,
        )

    def _part(self, row: UsedTold) -> PartTold:
        by, alone = self._asked.by, self._asked.by == "day" and self._asked.device_key is not None
        return PartTold(
            from_month=f"{self._of.month:%Y-%m}",
            product_key=row.product_key if by != "day" else self._asked.product_key,
            device_key=row.device_key if by == "device" else self._asked.device_key,
            on=row.on if by == "day" else None,
            excess=row.excess,
            used=row.used if alone else None,
            allowance=row.allowance if alone else None,
        )
