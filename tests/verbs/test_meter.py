"""Messages are counted once, on the right day, and part into covered and excess (E1 to E4)."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.verbs.conftest import DAY, FREE, NOON, Trade

from licet.accounts import PLATFORM, Mode
from licet.allowances import Drawn
from licet.enrol import change_account, delete_device
from licet.events import Kind
from licet.explain import explain
from licet.meter import Folded, claim, fold, meter
from licet.postgres import events, usage
from licet.postgres.usage import Claim, Tally
from licet.refusals import Reason
from licet.sweep import sweep
from licet.upgrade import upgrade

TODAY = NOON.date()


def slot(at: datetime) -> int:
    return int(at.timestamp()) // 900


async def uses(
    trade: Trade, device_key: str, up: int, *, down: int = 0, at: datetime = NOON, now: datetime = NOON
) -> None:
    """The device used so many messages at that instant; and they were read from a stream."""
    last = (await usage.behind(trade.books)).get("s", (0, None))[0] + up + down
    claimed = await claim(trade.books, "s", last_sequence=last, most=10**6, claimed_by="reader", now=NOON)
    assert claimed is not None
    tallies = [Tally(trade.product_key, device_key, slot(at), up, down, 100 * (up + down))]
    assert await meter(trade.books, claimed, tallies, now=now)


async def day_of(trade: Trade, on: date = TODAY) -> Drawn:
    found = await usage.messages_used(trade.books, trade.account_id, first=on, last=on)
    return found[0].drawn if found else Drawn(0, 0)


async def in_stock(trade: Trade, *device_keys: str, messages: int = 1500) -> None:
    await trade.credited(len(device_keys), await trade.package("P1Y", messages=messages))
    await trade.imported(*device_keys)
    await trade.knocks(*device_keys)


async def test_1500_allowed_and_1700_used_is_200_excess(trade: Trade) -> None:
    """E2, E4: both directions in one allowance; the counters say the same before and after they are folded."""
    await in_stock(trade, "thermo1")
    await uses(trade, "thermo1", 1000, down=400)
    await uses(trade, "thermo1", 300)
    assert await day_of(trade) == Drawn(1500, 200)
    await fold(trade.books, now=NOON)
    assert await day_of(trade) == Drawn(1500, 200)
    assert await fold(trade.books, now=NOON) == Folded(0, 0)


async def test_a_claim_is_counted_once_whoever_reads_it(trade: Trade) -> None:
    await in_stock(trade, "thermo1")
    claimed = await claim(trade.books, "s", last_sequence=100, most=60, claimed_by="a", now=NOON)
    assert claimed == Claim("s", 1, 60)
    tallies = [Tally(trade.product_key, "thermo1", slot(NOON), 60, 0, 60)]
    counted = await asyncio.gather(*(meter(trade.books, claimed, tallies, now=NOON) for _ in range(5)))
    assert sorted(counted) == [False] * 4 + [True]
    assert await day_of(trade) == Drawn(60, 0)


async def test_readers_share_the_work_and_one_that_died_is_taken_over_from(trade: Trade) -> None:
    books = trade.books
    asked = [claim(books, "s", last_sequence=250, most=100, claimed_by=f"r{n}", now=NOON) for n in range(4)]
    claims = sorted(each for each in await asyncio.gather(*asked) if each is not None)
    assert claims == [Claim("s", 1, 100), Claim("s", 101, 200), Claim("s", 201, 250)]
    assert await claim(books, "s", last_sequence=250, most=100, claimed_by="r9", now=NOON) is None
    later = NOON + timedelta(minutes=1)
    assert await claim(books, "s", last_sequence=250, most=100, claimed_by="r9", now=later) == claims[0]
    assert await meter(books, claims[0], [], now=later)
    assert not await meter(books, claims[0], [], now=later), "the first reader was only slow"
    assert (await usage.behind(books))["s"] == (250, 101)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("on", [date(2026, 3, 29), date(2026, 10, 25), date(2028, 2, 29), date(2026, 4, 5)])
async def test_a_day_is_the_accounts_calendar_day(trade: Trade, zone: str, on: date) -> None:
    """E2: days of 23, 24 and 25 hours, a leap day; an instant before midnight and midnight itself."""
    await in_stock(trade, "thermo1")
    await change_account(trade.books, trade.account_id, time_zone=zone, free=FREE, by=PLATFORM, now=NOON)
    first = datetime(on.year, on.month, on.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    tomorrow = on + timedelta(days=1)
    last = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    instant = timedelta(microseconds=1)
    for n, at in enumerate((first - instant, first, last - instant, last)):
        await uses(trade, "thermo1", 10**n, at=at)
    assert (await day_of(trade, on - DAY)).used == 1
    assert (await day_of(trade, on)).used == 110
    assert (await day_of(trade, tomorrow)).used == 1000


async def test_renewal_inside_a_day_does_not_restart_the_counter(trade: Trade) -> None:
    """E2."""
    await trade.credited(5, await trade.package("P10D", messages=100))
    await trade.imported("thermo1")
    await trade.knocks("thermo1")
    expired = NOON + 10 * DAY
    await uses(trade, "thermo1", 80, at=expired - timedelta(minutes=1))
    await sweep(trade.books, now=expired)
    await uses(trade, "thermo1", 80, at=expired + timedelta(minutes=1))
    assert await day_of(trade, expired.date()) == Drawn(100, 60)


async def test_an_upgrade_counts_from_the_next_midnight(trade: Trade) -> None:
    """A7: also for what is counted late."""
    await in_stock(trade, "thermo1", messages=100)
    more = await trade.package("P1Y", messages=1000)
    await upgrade(trade.books, trade.product_key, package_id=more.id, by=trade.alice, now=NOON + DAY)
    for day in (1, 2):
        await uses(trade, "thermo1", 500, at=NOON + day * DAY)
    assert await day_of(trade, (NOON + DAY).date()) == Drawn(100, 400)
    assert await day_of(trade, (NOON + 2 * DAY).date()) == Drawn(500, 0)


async def test_in_block_mode_a_device_is_cut_off_until_midnight(trade: Trade) -> None:
    """E4: refused when its allowance is used, in again at the account's midnight by itself."""
    await in_stock(trade, "thermo1", "thermo2", messages=100)
    await change_account(trade.books, trade.account_id, mode=Mode.BLOCK, free=FREE, by=PLATFORM, now=NOON - DAY)
    await uses(trade, "thermo1", 99)
    assert await fold(trade.books, now=NOON) == Folded(2, 0)
    await uses(trade, "thermo1", 1)
    assert await fold(trade.books, now=NOON) == Folded(1, 1)
    one, two = await trade.knocks("thermo1", "thermo2")
    assert one.refusal is not None
    assert one.refusal.reason is Reason.ALLOWANCE_USED_UP
    why = await explain(trade.books, trade.product_key, "thermo1", by=trade.alice, now=NOON)
    assert str(why.refusal) == str(one.refusal)
    assert two.admitted
    midnight = datetime(2026, 1, 11, tzinfo=ZoneInfo("Europe/Berlin"))
    (before,) = await trade.knocks("thermo1", now=midnight - timedelta(microseconds=1))
    (after,) = await trade.knocks("thermo1", now=midnight)
    assert (before.admitted, after.admitted) == (False, True)
    told = await events.page(trade.books, trade.account_id, after=None, limit=100)
    cut = [event.facts for event in told if event.kind is Kind.DEVICES_CUT_OFF]
    assert [each["device_keys"] for each in cut] == [["thermo1"]]


async def test_what_is_counted_while_others_are_folded_waits_for_the_next_time(trade: Trade) -> None:
    """The first message of a month may come between seeing which months there are, and folding."""
    await in_stock(trade, "thermo1")
    next_month = NOON + 31 * DAY
    await uses(trade, "thermo1", 5)
    async with trade.books.transaction() as books:
        days = await usage.days_to_fold(books)
        await usage.make_partitions(books, days)
        await uses(trade, "thermo1", 7, at=next_month)
        await usage.fold(books, days, most=10)
        assert await usage.days_to_fold(books) == [next_month.date()]
    await fold(trade.books, now=next_month)
    assert (await day_of(trade)).used == 5
    assert (await day_of(trade, next_month.date())).used == 7


async def test_warnings_are_told_once_per_device_and_day(trade: Trade) -> None:
    """E4: at 70, 90 and 100 per cent, in charge mode nobody is cut off."""
    await in_stock(trade, "thermo1", "thermo2", messages=100)
    for used in (69, 1, 19, 1, 5, 5, 50):
        await uses(trade, "thermo1", used)
        await uses(trade, "thermo2", 1)
        await fold(trade.books, now=NOON)
    told = await events.page(trade.books, trade.account_id, after=None, limit=100)
    warned = [
        (event.facts["percent"], event.facts["device_keys"])
        for event in told
        if event.kind in (Kind.ALLOWANCE_NEARLY_USED, Kind.ALLOWANCE_USED_UP) and event.product_key
    ]
    assert sorted(warned) == [(70, ["thermo1"]), (90, ["thermo1"]), (100, ["thermo1"])]
    assert (await trade.knocks("thermo1"))[0].admitted


async def test_use_of_unknown_devices_goes_to_quarantine(trade: Trade) -> None:
    """Never silently away; the rest of the claim is counted."""
    await in_stock(trade, "thermo1")
    claimed = await claim(trade.books, "s", last_sequence=2, most=10, claimed_by="r", now=NOON)
    assert claimed is not None
    tallies = [Tally(trade.product_key, key, slot(NOON), 1, 0, 1) for key in ("thermo1", "nobody01")]
    assert await meter(trade.books, claimed, tallies, now=NOON)
    assert (await day_of(trade)).used == 1
    (kept,) = await usage.quarantined(trade.books, after=None, limit=10)
    assert kept.reported["device_key"] == "nobody01"


async def test_an_account_is_warned_once_a_day_of_all_its_devices_together(trade: Trade) -> None:
    """E4: of what those that are active may use; one more that is activated does not take a warning back."""
    await trade.credited(3, await trade.package("P1Y", messages=100))
    await trade.imported("thermo1", "thermo2", "thermo3")
    await trade.knocks("thermo1", "thermo2")
    await trade.imported("debug1", virtual=True)
    await uses(trade, "debug1", 10_000)
    told: list[tuple[str, int]] = []
    for used, now in ((139, NOON), (1, NOON), (60, NOON), (60, NOON), (150, NOON + DAY)):
        await uses(trade, "thermo1", used, at=now)
        folded = await fold(trade.books, now=now)
        warned = await warnings_of_the_account(trade)
        assert len(warned) - len(told) == folded.accounts_warned
        told = warned
    assert told == [("2026-01-10", 70), ("2026-01-10", 90), ("2026-01-10", 100), ("2026-01-11", 70)]
    await trade.knocks("thermo3", now=NOON + DAY)
    for used, percents in ((20, []), (79, []), (21, [90])):
        await uses(trade, "thermo3", used, at=NOON + DAY)
        await fold(trade.books, now=NOON + DAY)
        warned = await warnings_of_the_account(trade)
        assert [percent for _, percent in warned[len(told) :]] == percents
        told = warned


async def test_what_nobody_may_use_is_not_used_up(trade: Trade) -> None:
    """Devices that were never activated have no allowance: nothing is told of their account, nor of a deleted one's."""
    await in_stock(trade, "thermo1", messages=100)
    await trade.imported("thermo2")
    await delete_device(trade.books, trade.product_key, "thermo1", by=trade.alice, now=NOON)
    await uses(trade, "thermo2", 95, at=NOON + DAY)
    assert (await fold(trade.books, now=NOON + DAY)).accounts_warned == 0
    await uses(trade, "thermo1", 95)
    assert (await fold(trade.books, now=NOON + DAY)).accounts_warned == 2, "it was active on the day it was deleted"


async def test_a_counter_that_was_told_nonsense_stops_no_other(trade: Trade) -> None:
    await in_stock(trade, "thermo1", "thermo2")
    for _ in range(4):
        await uses(trade, "thermo1", 10**9, down=10**9)
        await fold(trade.books, now=NOON)
    await uses(trade, "thermo2", 5)
    await fold(trade.books, now=NOON)
    assert (await day_of(trade)).used == 2 * 10**9 + 5


async def warnings_of_the_account(trade: Trade) -> list[tuple[str, int]]:
    told = await events.page(trade.books, trade.account_id, after=None, limit=100)
    kinds = (Kind.ALLOWANCE_NEARLY_USED, Kind.ALLOWANCE_USED_UP)
    warned = [event.facts for event in reversed(told) if event.kind in kinds and event.product_key is None]
    return [(each["on"], each["percent"]) for each in warned]
