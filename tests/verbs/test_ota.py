"""Upgrades are reserved, charged or released, and part into covered and excess (F1 to F3)."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.verbs.conftest import DAY, FREE, NOON, Trade

from licet.accounts import PLATFORM, SCOPES, By, Mode, Role
from licet.allowances import OTA_BYTES, Direction, Drawn, attempts_in, counted
from licet.enrol import change_account
from licet.events import Kind
from licet.firmware import Upgrade, UpgradeState
from licet.mint import define_package
from licet.ota import complete, fail, reserve, start_campaign, upload_firmware
from licet.packages import Allowance, Package
from licet.postgres import audit, downlinks, events, ota
from licet.refusals import Reason, Refused
from licet.sweep import sweep
from licet.units import Term
from licet.upgrade import upgrade

MB = 2**20
JANUARY = date(2026, 1, 1)
MALLORY = By("per_mallory", "Mallory", Role.OWNER, "acc_globex", scopes=SCOPES[Role.OWNER])


async def package_with(trade: Trade, ota_per_month: int) -> Package:
    allowed = Allowance(Term.parse("P1Y"), 1500, ota_per_month, 7)
    return await define_package(trade.books, name=f"{ota_per_month} OTA", allowance=allowed, by=PLATFORM, now=NOON)


async def in_stock(trade: Trade, *device_keys: str, ota_per_month: int = 1) -> None:
    await trade.credited(len(device_keys), await package_with(trade, ota_per_month))
    await trade.imported(*device_keys)
    await trade.knocks(*device_keys)


async def blocks(trade: Trade) -> None:
    """The account is in mode block from this day on."""
    await change_account(trade.books, trade.account_id, mode=Mode.BLOCK, free=FREE, by=PLATFORM, now=NOON - DAY)


async def begins(trade: Trade, size: int, device_key: str = "thermo1", *, now: datetime = NOON) -> Upgrade:
    return await reserve(trade.books, trade.product_key, device_key, bytes=size, by=trade.alice, now=now)


async def upgrades(trade: Trade, size: int, device_key: str = "thermo1", *, now: datetime = NOON) -> Upgrade:
    begun = await begins(trade, size, device_key, now=now)
    return await complete(trade.books, begun.id, bytes=size, by=trade.alice, now=now)


async def month(trade: Trade, on: date = JANUARY, *, now: datetime = NOON) -> Drawn:
    last = (on + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    found = await ota.ota_used(trade.books, trade.account_id, first=on, last=last, now=now)
    return found[0].drawn if found else Drawn(0, 0)


@pytest.mark.parametrize(
    ("size", "attempts"),
    [(0, 1), (1, 1), (OTA_BYTES, 1), (OTA_BYTES + 1, 2), (6 * MB, 2), (10 * MB, 2), (10 * MB + 1, 3)],
)
def test_each_started_5_mb_is_an_attempt(size: int, attempts: int) -> None:
    """F1."""
    assert attempts_in(size) == attempts


async def test_6_mb_with_1_allowed_is_1_covered_and_1_excess(trade: Trade) -> None:
    """F2: in mode charge the upgrade goes on, and what is beyond the allowance is excess."""
    await in_stock(trade, "thermo1")
    begun = await begins(trade, 6 * MB)
    assert (begun.state, begun.attempts, begun.allowance) == (UpgradeState.RESERVED, 2, 1)
    assert begun.drawn == Drawn(1, 1)
    assert await month(trade) == Drawn(0, 0), "charged when it completes (F3)"
    done = await complete(trade.books, begun.id, bytes=6 * MB, by=trade.alice, now=NOON)
    assert (done.state, done.drawn) == (UpgradeState.COMPLETED, Drawn(1, 1))
    assert await month(trade) == Drawn(1, 1)
    await upgrades(trade, 1)
    assert await month(trade) == Drawn(1, 2)


async def test_what_is_charged_is_what_it_came_to(trade: Trade) -> None:
    """F3: the attempts are counted anew from the bytes that were transferred."""
    await in_stock(trade, "thermo1", ota_per_month=5)
    begun = await begins(trade, 21 * MB)
    done = await complete(trade.books, begun.id, bytes=4 * MB, by=trade.alice, now=NOON)
    assert (begun.attempts, done.attempts, done.bytes) == (5, 1, 4 * MB)
    assert await month(trade) == Drawn(1, 0)


async def test_what_failed_is_released(trade: Trade) -> None:
    """F3: in mode block the attempts may be reserved anew."""
    await in_stock(trade, "thermo1")
    await blocks(trade)
    begun = await begins(trade, MB)
    with pytest.raises(Refused) as refused:
        await begins(trade, MB)
    assert refused.value.reason is Reason.OTA_USED_UP
    failed = await fail(trade.books, begun.id, bytes=1000, by=trade.alice, now=NOON)
    assert (failed.state, failed.drawn, failed.bytes) == (UpgradeState.FAILED, Drawn(0, 0), 1000)
    assert await month(trade) == Drawn(0, 0)
    assert (await upgrades(trade, MB)).drawn == Drawn(1, 0)


async def test_two_upgrades_at_once_with_1_attempt_left_in_block_mode(trade: Trade) -> None:
    """F2: exactly one is refused before it starts."""
    await in_stock(trade, "thermo1")
    await blocks(trade)
    begun = await asyncio.gather(*(begins(trade, MB) for _ in range(2)), return_exceptions=True)
    refused = [each for each in begun if isinstance(each, Refused)]
    assert [each.reason for each in refused] == [Reason.OTA_USED_UP]
    assert refused[0].facts == {"attempts": 1, "device_key": "thermo1", "left": 0}
    assert len(await ota.page(trade.books, trade.account_id, limit=10, now=NOON)) == 1
    assert (await begins(trade, MB, now=NOON + 30 * DAY)).drawn == Drawn(1, 0), "another month"


async def test_in_block_mode_all_attempts_must_be_covered(trade: Trade) -> None:
    """F2: 6 MB with 1 allowed is refused; nothing is held by it."""
    await in_stock(trade, "thermo1", "thermo2")
    await blocks(trade)
    with pytest.raises(Refused) as refused:
        await begins(trade, 6 * MB)
    assert refused.value.reason is Reason.OTA_USED_UP
    assert (await upgrades(trade, 5 * MB)).drawn == Drawn(1, 0)
    assert (await upgrades(trade, 5 * MB, "thermo2")).drawn == Drawn(1, 0), "each device has its own allowance"


async def test_another_mode_counts_from_the_next_midnight(trade: Trade) -> None:
    """E4."""
    await in_stock(trade, "thermo1")
    await change_account(trade.books, trade.account_id, mode=Mode.BLOCK, free=FREE, by=PLATFORM, now=NOON)
    assert (await upgrades(trade, 6 * MB)).drawn == Drawn(1, 1)
    midnight = datetime(2026, 1, 11, tzinfo=ZoneInfo("Europe/Berlin"))
    assert (await upgrades(trade, MB, now=midnight - timedelta(microseconds=1))).drawn == Drawn(0, 1)
    with pytest.raises(Refused):
        await begins(trade, MB, now=midnight)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"])
@pytest.mark.parametrize("first", [date(2026, 2, 1), date(2026, 4, 1), date(2026, 11, 1), date(2028, 3, 1)])
async def test_a_month_ends_at_the_accounts_midnight(trade: Trade, zone: str, first: date) -> None:
    """F2: an instant before, and at midnight itself; nothing carries over."""
    await in_stock(trade, "thermo1")
    await change_account(trade.books, trade.account_id, time_zone=zone, free=FREE, by=PLATFORM, now=NOON)
    midnight = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    before = await upgrades(trade, 6 * MB, now=midnight - timedelta(microseconds=1))
    at = await upgrades(trade, 6 * MB, now=midnight)
    assert (before.drawn, at.drawn) == (Drawn(1, 1), Drawn(1, 1))
    for on in ((first - DAY).replace(day=1), first):
        assert await month(trade, on, now=midnight) == Drawn(1, 1)


async def test_it_belongs_to_the_month_it_was_reserved_in(trade: Trade) -> None:
    """F2, F3: and days come to their month, also when it was completed after the month had ended."""
    await in_stock(trade, "thermo1")
    begun = await begins(trade, MB, now=datetime(2026, 1, 31, 22, 50, tzinfo=UTC))
    later = datetime(2026, 2, 1, 9, 0, tzinfo=UTC)
    await complete(trade.books, begun.id, bytes=MB, by=trade.alice, now=later)
    assert (await upgrades(trade, MB, now=later)).drawn == Drawn(1, 0)
    assert await month(trade, now=later) == Drawn(1, 0)
    days = await ota.ota_used(
        trade.books, trade.account_id, first=JANUARY, last=date(2026, 2, 28), by="day", whose="device", now=later
    )
    told = [(each.on, each.product_key, each.device_key, each.upgrades, each.bytes, each.drawn) for each in days]
    assert told == [
        (on, trade.product_key, "thermo1", 1, MB, Drawn(1, 0)) for on in (date(2026, 1, 31), date(2026, 2, 1))
    ]


async def test_days_products_and_devices_come_to_the_month(trade: Trade) -> None:
    """Covered + excess = used, whoever adds them up."""
    await in_stock(trade, "thermo1", "thermo2", ota_per_month=2)
    for day, size, device_key in ((0, 6, "thermo1"), (1, 1, "thermo1"), (2, 12, "thermo2"), (3, 1, "thermo2")):
        await upgrades(trade, size * MB, device_key, now=NOON + day * DAY)
    sums = {
        (by, whose): sum(
            (each.drawn.covered + 100 * each.drawn.excess)
            for each in await ota.ota_used(
                trade.books,
                trade.account_id,
                first=JANUARY,
                last=date(2026, 1, 31),
                by=by,  # type: ignore[arg-type]
                whose=whose,  # type: ignore[arg-type]
                now=NOON + 4 * DAY,
            )
        )
        for by in ("day", "month")
        for whose in ("total", "product", "device")
    }
    assert set(sums.values()) == {4 + 300}
    shown = await ota.page(trade.books, trade.account_id, limit=10, now=NOON + 4 * DAY)
    assert sum(each.drawn.covered + 100 * each.drawn.excess for each in shown) == 4 + 300
    assert await ota.ota_used(trade.books, "acc_globex", first=JANUARY, last=date(2026, 1, 31), now=NOON) == []


async def test_the_package_that_counts_at_the_end_of_the_month(trade: Trade) -> None:
    """A7: an upgrade of the product counts from midnight on, and then for the whole running month."""
    await in_stock(trade, "thermo1")
    await upgrades(trade, 6 * MB)
    more = await package_with(trade, 3)
    await upgrade(trade.books, trade.product_key, package_id=more.id, by=trade.alice, now=NOON)
    assert await month(trade, now=NOON) == Drawn(1, 1)
    assert await month(trade, now=NOON + DAY) == Drawn(2, 0)
    even_more = await package_with(trade, 9)
    last_day = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    await upgrade(trade.books, trade.product_key, package_id=even_more.id, by=trade.alice, now=last_day)
    await upgrades(trade, 20 * MB, now=last_day)
    assert await month(trade, now=NOON + 300 * DAY) == Drawn(3, 3), "it counts from February on"


async def test_a_virtual_device_is_neither_refused_nor_in_excess(trade: Trade) -> None:
    """C7."""
    await in_stock(trade, "thermo1")
    await trade.imported("virtual1", virtual=True)
    await blocks(trade)
    assert (await upgrades(trade, 60 * MB, "virtual1")).drawn == Drawn(12, 0)
    assert await month(trade) == Drawn(12, 0)


async def test_the_same_said_again_changes_nothing_and_the_other_is_refused(trade: Trade) -> None:
    """F3: charged once, whoever says so how often, or at once."""
    await in_stock(trade, "thermo1")
    begun = await begins(trade, MB)
    said = [complete(trade.books, begun.id, bytes=MB, by=trade.alice, now=NOON) for _ in range(4)]
    assert {each.state for each in await asyncio.gather(*said)} == {UpgradeState.COMPLETED}
    with pytest.raises(Refused) as other_bytes:
        await complete(trade.books, begun.id, bytes=6 * MB, by=trade.alice, now=NOON)
    with pytest.raises(Refused) as other_end:
        await fail(trade.books, begun.id, by=trade.alice, now=NOON)
    assert {other_bytes.value.reason, other_end.value.reason} == {Reason.OTA_ENDED}
    failed = await begins(trade, MB)
    for _ in range(2):
        await fail(trade.books, failed.id, by=trade.alice, now=NOON)
    with pytest.raises(Refused):
        await complete(trade.books, failed.id, bytes=MB, by=trade.alice, now=NOON)
    assert await month(trade) == Drawn(1, 0)
    told = await events.page(trade.books, trade.account_id, after=None, limit=100)
    ended = [(each.kind, each.facts) for each in told if each.kind in (Kind.OTA_COMPLETED, Kind.OTA_FAILED)]
    assert ended == [
        (Kind.OTA_FAILED, {"ids": [failed.id], "device_keys": ["thermo1"]}),
        (Kind.OTA_COMPLETED, {"ids": [begun.id], "device_keys": ["thermo1"], "attempts": [1]}),
    ]
    log = await audit.page(trade.books, trade.account_id, subject=begun.id, after=None, limit=10)
    assert [each.act for each in log] == ["completed an upgrade", "reserved an upgrade"]


async def test_ended_both_ways_at_once_it_ends_one_way(trade: Trade) -> None:
    await in_stock(trade, "thermo1")
    begun = await begins(trade, MB)
    said = await asyncio.gather(
        complete(trade.books, begun.id, bytes=MB, by=trade.alice, now=NOON),
        fail(trade.books, begun.id, by=trade.alice, now=NOON),
        return_exceptions=True,
    )
    assert len([each for each in said if isinstance(each, Refused) and each.reason is Reason.OTA_ENDED]) == 1
    told = await events.page(trade.books, trade.account_id, after=None, limit=100)
    assert len([each for each in told if each.kind in (Kind.OTA_COMPLETED, Kind.OTA_FAILED)]) == 1


async def test_what_is_idle_for_a_day_is_released(trade: Trade) -> None:
    """F3: by the sweep, once; a late sweep only releases later."""
    await in_stock(trade, "thermo1", "thermo2")
    for device_key in ("thermo1", "thermo2"):
        await begins(trade, MB, device_key)
    assert (await sweep(trade.books, now=NOON + DAY - timedelta(microseconds=1))).released == 0
    swept = await asyncio.gather(*(sweep(trade.books, now=NOON + DAY) for _ in range(2)))
    assert sorted(each.released for each in swept) == [0, 2]
    told = await events.page(trade.books, trade.account_id, after=None, limit=100)
    (failed,) = [each.facts for each in told if each.kind is Kind.OTA_FAILED]
    assert failed["device_keys"] == ["thermo1", "thermo2"]
    assert await month(trade) == Drawn(0, 0)


async def test_a_campaign_tells_each_device(trade: Trade) -> None:
    """By a message of the platform's own, which costs nothing (E3), written with the offer; and by one event."""
    await in_stock(trade, "thermo1", "thermo2")

    async def put() -> None:
        pass

    made = await upload_firmware(
        trade.books, trade.account_id, name="1.2", size=MB, sha256="ab" * 32, put=put, by=trade.alice, now=NOON
    )
    url = "http://licet.test/file"
    started = await start_campaign(
        trade.books, trade.product_key, firmware_id=made.id, device_keys=None, url=url, by=trade.alice, now=NOON
    )
    waiting = await downlinks.waiting(trade.books, limit=10)
    assert [(each.device_key, each.topic) for each in waiting] == [("thermo1", "sys/ota"), ("thermo2", "sys/ota")]
    offer = {"campaign_id": started.id, "firmware_id": made.id, "url": url, "bytes": MB, "sha256": "ab" * 32}
    assert [json.loads(each.payload) for each in waiting] == [offer] * 2
    assert counted(Direction.DOWN, waiting[0].topic, len(waiting[0].payload)) == 0
    told = await events.page(trade.books, trade.account_id, kind=Kind.OTA_OFFERED, after=None, limit=10)
    assert [each.facts for each in told] == [offer | {"device_keys": ["thermo1", "thermo2"]}]


async def test_what_belongs_to_another_does_not_exist(trade: Trade) -> None:
    await in_stock(trade, "thermo1")
    begun = await begins(trade, MB)
    for asked in (
        reserve(trade.books, trade.product_key, "thermo1", bytes=1, by=MALLORY, now=NOON),
        complete(trade.books, begun.id, bytes=MB, by=MALLORY, now=NOON),
        fail(trade.books, begun.id, by=MALLORY, now=NOON),
        begins(trade, MB, "nobody01"),
        fail(trade.books, "ota_" + "0" * 20, by=trade.alice, now=NOON),
    ):
        with pytest.raises(Refused) as refused:
            await asked
        assert refused.value.reason is Reason.NOT_FOUND
