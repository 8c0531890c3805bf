"""Messages are kept for the days a package grants, or longer; gone after it; and what is longer is excess (E5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest
from tests.verbs.conftest import DAY, NOON, Trade

from licet.accounts import PLATFORM, By, Mode
from licet.allowances import Drawn
from licet.enrol import create_product, delete_product
from licet.events import Kind
from licet.keep import keep, keep_for
from licet.meter import claim, meter
from licet.mint import define_package
from licet.packages import Allowance, Package
from licet.postgres import devices, downlinks, events, products, storage, usage
from licet.postgres.turns import Work, take_turn
from licet.postgres.usage import Crossing, Tally
from licet.refusals import Reason, Refused
from licet.send import send
from licet.units import Term
from licet.upgrade import upgrade

MIB = 2**20
HOUR = timedelta(hours=1)


@dataclass
class Disks:
    """What a broker is asked to take from its disks; it does as far as its streams are counted."""

    asked: list[tuple[datetime, str | None]] = field(default_factory=list)
    counted: Mapping[str, int] = field(default_factory=dict)
    whole: bool = True

    async def purge(self, *, before: datetime, counted: Mapping[str, int], product_key: str | None = None) -> bool:
        self.asked.append((before, product_key))
        self.counted = counted
        return self.whole

    def of(self, product_key: str | None) -> list[datetime]:
        return [before for before, of in self.asked if of == product_key]


@pytest.fixture
async def package(trade: Trade) -> Package:
    """The cast's package: 7 days of storage, for its product and a device."""
    package = await trade.package("P1Y", messages=1500)
    await trade.credited(1, package)
    await trade.imported("thermo1")
    return package


async def stores(trade: Trade, bytes_: int, *, at: datetime, product_key: str = "") -> None:
    """A device sent so many bytes then; and they were counted."""
    claimed = await claim(trade.books, f"s{at:%j%H}{product_key}", last_sequence=1, most=1, claimed_by="r", now=at)
    assert claimed is not None
    tally = Tally(product_key or trade.product_key, "thermo1", int(at.timestamp()) // 900, 1, 0, bytes_)
    assert await meter(trade.books, claimed, [tally], now=at)


async def used(trade: Trade, first: date, days: int = 1, *, now: datetime) -> list[tuple[int, Drawn]]:
    """(bytes kept, MiB-days) of each day."""
    last = first + timedelta(days=days - 1)
    found = {
        each.on: (each.kept_bytes, each.drawn)
        for each in await storage.storage_used(trade.books, trade.account_id, first=first, last=last, now=now)
    }
    return [found.get(first + timedelta(days=n), (0, Drawn(0, 0))) for n in range(days)]


async def keeping(trade: Trade, storage_days: int) -> Package:
    allowance = Allowance(Term.parse("P1Y"), 1500, 1, storage_days)
    return await define_package(trade.books, name=f"{storage_days} days", allowance=allowance, by=PLATFORM, now=NOON)


async def another_product(trade: Trade, storage_days: int) -> str:
    """A product that keeps its messages for so many days, with a device."""
    product, _ = await create_product(trade.books, account_id=trade.account_id, name="Other", by=trade.alice, now=NOON)
    longer = await keeping(trade, storage_days)
    await trade.credited(1, longer, to=product.product_key)
    await trade.imported("thermo1", to=product.product_key)
    return product.product_key


def on(offset: int) -> date:
    return (NOON + offset * DAY).date()


async def test_e5_what_is_kept_for_the_granted_days_is_covered(trade: Trade, package: Package) -> None:
    await stores(trade, 3 * MIB, at=NOON)
    later = NOON + 30 * DAY
    days = await used(trade, on(0), 9, now=later)
    assert days == [(3 * MIB, Drawn(3, 0))] * 8 + [(0, Drawn(0, 0))]
    assert await used(trade, on(0), 9, now=NOON + 2 * DAY) == days[:3] + [(0, Drawn(0, 0))] * 6, "only days that began"


async def test_e5_what_is_kept_longer_is_excess(trade: Trade, package: Package) -> None:
    """10 days kept, 7 granted: three days of excess for each MiB."""
    await keep_for(trade.books, trade.product_key, 10, by=trade.alice, now=NOON)
    await stores(trade, 2 * MIB, at=NOON)
    await stores(trade, MIB, at=NOON + DAY)
    days = await used(trade, on(0), 13, now=NOON + 30 * DAY)
    covered = [Drawn(2, 0), *[Drawn(3, 0)] * 7]
    excess = [Drawn(1, 2), Drawn(0, 3), Drawn(0, 3), Drawn(0, 1), Drawn(0, 0)]
    assert [drawn for _, drawn in days] == covered + excess
    month = await storage.storage_used(
        trade.books, trade.account_id, first=on(-9), last=on(21), by="month", now=NOON + 30 * DAY
    )
    assert [(each.on, each.drawn.excess, each.stored_bytes) for each in month] == [(date(2026, 1, 1), 9, 3 * MIB)]


async def test_e5_mib_days_are_rounded_up_once_per_product_and_day(trade: Trade, package: Package) -> None:
    await keep_for(trade.books, trade.product_key, 8, by=trade.alice, now=NOON)
    await stores(trade, 1, at=NOON)
    await stores(trade, MIB, at=NOON + HOUR)
    await stores(trade, 1, at=NOON + DAY)
    assert await used(trade, on(0), now=NOON + 30 * DAY) == [(MIB + 1, Drawn(2, 0))]
    assert await used(trade, on(8), now=NOON + 30 * DAY) == [(MIB + 2, Drawn(0, 2))]
    assert await used(trade, on(9), now=NOON + 30 * DAY) == [(1, Drawn(0, 1))]
    other = await another_product(trade, 1)
    await stores(trade, 1, at=NOON + 8 * DAY, product_key=other)
    by_product = await storage.storage_used(
        trade.books, trade.account_id, first=on(8), last=on(8), whose="product", now=NOON + 30 * DAY
    )
    assert {each.product_key: each.drawn for each in by_product} == {
        trade.product_key: Drawn(0, 2),
        other: Drawn(1, 0),
    }


async def test_what_was_let_go_does_not_come_back(trade: Trade, package: Package) -> None:
    """Kept for 20 days, then as granted, then for 20 again: what went in between is gone."""
    await keep_for(trade.books, trade.product_key, 20, by=trade.alice, now=NOON)
    await stores(trade, MIB, at=NOON)
    await keep_for(trade.books, trade.product_key, None, by=trade.alice, now=NOON + 9 * DAY)
    await keep_for(trade.books, trade.product_key, 20, by=trade.alice, now=NOON + 12 * DAY)
    days = await used(trade, on(0), 15, now=NOON + 30 * DAY)
    assert [drawn.excess for _, drawn in days] == [0] * 8 + [1, 1] + [0] * 5
    kept = [
        (await storage.days_kept(trade.books, trade.product_key, now=NOON + n * DAY))[0].kept_days
        for n in (0, 9, 10, 11, 12, 30)
    ]
    assert kept == [20, 20, 7, 7, 20, 20]


async def test_longer_is_from_now_on_and_shorter_from_midnight(trade: Trade, package: Package) -> None:
    """A day has one number, the largest of it; however often somebody changes their mind."""

    async def kept(now: datetime) -> int:
        return (await storage.days_kept(trade.books, trade.product_key, now=now))[0].kept_days

    midnight = datetime(2026, 1, 10, 23, 0, tzinfo=UTC)  # in Berlin
    for days in (10, None, 30, 8, 9):
        await keep_for(trade.books, trade.product_key, days, by=trade.alice, now=NOON)
    assert await kept(NOON) == 30
    assert await kept(midnight - timedelta(microseconds=1)) == 30
    assert await kept(midnight) == 9
    product = await products.get(trade.books, trade.product_key, now=NOON)
    assert product is not None
    assert product.keep_days == 9
    told = await events.page(trade.books, trade.account_id, after=None, limit=100)
    said = [each.facts["keep_days"] for each in told if each.kind is Kind.PRODUCT_CHANGED and "keep_days" in each.facts]
    assert said == [9, 8, 30, None, 10]


async def test_nothing_is_kept_for_less_than_the_package_grants(trade: Trade, package: Package) -> None:
    with pytest.raises(Refused) as refused:
        await keep_for(trade.books, trade.product_key, 6, by=trade.alice, now=NOON)
    assert refused.value.reason is Reason.KEEPS_TOO_SHORT
    await keep_for(trade.books, trade.product_key, 7, by=trade.alice, now=NOON)
    mallory = By("per_mallory", "Mallory", trade.alice.role, "acc_globex")
    with pytest.raises(Refused) as refused:
        await keep_for(trade.books, trade.product_key, 9, by=mallory, now=NOON)
    assert refused.value.reason is Reason.NOT_FOUND


async def test_an_upgrade_keeps_longer_from_its_midnight_on(trade: Trade, package: Package) -> None:
    longer = await keeping(trade, 14)
    await stores(trade, MIB, at=NOON)
    await keep_for(trade.books, trade.product_key, 9, by=trade.alice, now=NOON)
    await upgrade(trade.books, trade.product_key, package_id=longer.id, by=trade.alice, now=NOON + 8 * DAY)
    days = await used(trade, on(0), 16, now=NOON + 30 * DAY)
    assert [(drawn.covered, drawn.excess) for _, drawn in days] == [(1, 0)] * 8 + [(0, 1)] + [(1, 0)] * 6 + [(0, 0)]


async def test_what_is_over_goes_from_the_disks_once_an_hour(trade: Trade, package: Package) -> None:
    """The product that keeps longest goes with everything else; another by itself, when something of it is due."""
    other, disks = await another_product(trade, 1), Disks()
    await stores(trade, 1, at=NOON, product_key=other)
    assert await keep(trade.books, disks.purge, now=NOON + DAY) == 0
    assert await keep(trade.books, disks.purge, now=NOON + DAY + 2 * HOUR) == 1
    assert disks.of(other) == [NOON + 2 * HOUR]
    assert disks.of(None) == [NOON - 6 * DAY, NOON - 6 * DAY + 2 * HOUR]
    assert disks.of(trade.product_key) == []
    assert await keep(trade.books, disks.purge, now=NOON + DAY + 3 * HOUR) == 0
    assert await keep(trade.books, disks.purge, now=NOON + 2 * DAY) == 1
    assert await keep(trade.books, disks.purge, now=NOON + 4 * DAY) == 0, "nothing was stored since"
    assert len(disks.of(other)) == 2


async def test_what_is_not_counted_stays_due(trade: Trade, package: Package) -> None:
    other, disks = await another_product(trade, 1), Disks(whole=False)
    await stores(trade, 1, at=NOON, product_key=other)
    await claim(trade.books, "open", last_sequence=20, most=10, claimed_by="slow", now=NOON)
    later = NOON + 2 * DAY
    assert await keep(trade.books, disks.purge, now=later) == 0
    assert disks.counted["open"] == 0
    disks.whole = True
    assert await keep(trade.books, disks.purge, now=later) == 1
    assert len(disks.of(other)) == 2


async def test_a_deleted_product_goes_at_once_and_once_more_when_all_is_over(trade: Trade, package: Package) -> None:
    disks = Disks()
    await stores(trade, MIB, at=NOON)
    await delete_product(trade.books, trade.product_key, by=trade.alice, now=NOON + DAY)
    minutes = timedelta(minutes=1)
    for after in (0, 1, 9, 11, 12, 90):
        await keep(trade.books, disks.purge, now=NOON + DAY + after * minutes)
    assert disks.of(trade.product_key) == [NOON + DAY + after * minutes for after in (0, 1, 9, 11)]
    assert [drawn.used for _, drawn in await used(trade, on(0), 4, now=NOON + 9 * DAY)] == [1, 1, 0, 0]


async def test_one_at_a_time(trade: Trade, package: Package) -> None:
    disks = Disks()
    async with trade.books.transaction() as bound:
        assert await take_turn(bound, Work.KEEPING)
        assert await keep(trade.books, disks.purge, now=NOON) == 0
    assert disks.asked == []


async def test_messages_to_devices_are_forgotten_with_the_rest(trade: Trade, package: Package) -> None:
    device = await devices.get(trade.books, trade.product_key, "thermo1", now=NOON)
    assert device is not None
    for at in (NOON, NOON + DAY):
        await send(trade.books, trade.product_key, "thermo1", topic="set", payload=b"x", by=trade.alice, now=at)
    await keep(trade.books, Disks().purge, now=NOON + 7 * DAY + HOUR)
    (left,) = await downlinks.page(trade.books, device.id, limit=10)
    assert left.asked_at == NOON + DAY


async def test_a_device_that_is_cut_off_is_sent_nothing(trade: Trade, package: Package) -> None:
    """E4: it could not hear it before its day ends."""
    device = await devices.get(trade.books, trade.product_key, "thermo1", now=NOON)
    assert device is not None
    crossing = Crossing(
        trade.account_id,
        trade.product_key,
        device.id,
        "thermo1",
        used_on=on(0),
        mode=Mode.BLOCK,
        ends_at=NOON + HOUR,
        before=0,
        used=1500,
        allowance=1500,
    )
    async with trade.books.transaction() as bound:
        await usage.cut_off(bound, [crossing])
    says = partial(send, trade.books, trade.product_key, "thermo1", topic="set", payload=b"x", by=trade.alice)
    with pytest.raises(Refused) as refused:
        await says(now=NOON)
    assert refused.value.reason is Reason.ALLOWANCE_USED_UP
    await says(now=NOON + HOUR)
