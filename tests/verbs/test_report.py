"""What is reported from outside counts once, for ever; what cannot be counted is kept (E1 to E4)."""

import asyncio
import random
from datetime import datetime, timedelta

from tests.verbs.conftest import DAY, FREE, NOON, Trade, alice

from licet.accounts import PLATFORM, SCOPES, By, Kind, Mode, Role
from licet.allowances import Direction, Drawn, Usage
from licet.enrol import delete_device, open_account
from licet.meter import fold
from licet.postgres import reports, usage
from licet.report import Doubt, Report, Reported, report

COLLECTOR = By("tok_1", "collector", Role.INGEST, None, scopes=SCOPES[Role.INGEST])


def told(
    trade: Trade,
    number: int,
    messages: int = 1,
    *,
    device_key: str = "thermo1",
    source: str = "gateway",
    at: datetime = NOON,
    direction: Direction = Direction.UP,
    kind: Usage | None = Usage.MESSAGES,
) -> Report:
    as_sent = {"id": f"r{number}", "subject": f"{trade.product_key}/{device_key}"}
    return Report(source, f"r{number}", kind, at, trade.product_key, device_key, direction, messages, as_sent)


async def used(trade: Trade) -> int:
    found = await usage.messages_used(
        trade.books, trade.account_id, first=NOON.date() - DAY, last=NOON.date() + 40 * DAY, by="month"
    )
    return sum(each.drawn.used for each in found)


async def sold(trade: Trade) -> None:
    await trade.credited(1, await trade.package("P1Y", messages=1500))
    await trade.imported("thermo1")


async def test_a_report_counts_once_for_ever(trade: Trade) -> None:
    """Whenever it is sent again, whatever it says then, and whoever of those who may sends it."""
    await sold(trade)
    batch = [told(trade, 1, 1600), told(trade, 2, 100, direction=Direction.DOWN), told(trade, 1, 7)]
    assert await report(trade.books, batch, by=COLLECTOR, now=NOON) == Reported(2, 1, 0)
    for by in (COLLECTOR, trade.alice, PLATFORM):
        for now in (NOON, NOON + 400 * DAY):
            assert await report(trade.books, batch, by=by, now=now) == Reported(0, 3, 0)
    (found,) = await usage.messages_used(trade.books, trade.account_id, first=NOON.date(), last=NOON.date())
    assert (found.drawn, found.up, found.down) == (Drawn(1500, 200), 1600, 100)
    await fold(trade.books, now=NOON)
    assert await used(trade) == 1700


async def test_what_was_reported_is_no_difference_from_the_streams(trade: Trade) -> None:
    """It is among what a device used, and left out of what a recount of the streams is held against."""
    await sold(trade)
    await report(trade.books, [told(trade, 1, 1600)], by=COLLECTOR, now=NOON)
    for _ in range(2):
        assert await used(trade) == 1600
        assert (await usage.counted_on(trade.books, NOON.date(), None)).used == {}
        await fold(trade.books, now=NOON)


async def test_another_source_may_use_the_same_id(trade: Trade) -> None:
    await sold(trade)
    batch = [told(trade, 1, 10), told(trade, 1, 10, source="another gateway")]
    assert await report(trade.books, batch, by=COLLECTOR, now=NOON) == Reported(2, 0, 0)
    assert await used(trade) == 20


async def test_reports_that_race_count_once(trade: Trade) -> None:
    """The same reports in different batches and orders, at once: no report twice, none lost, nobody waits for ever."""
    await sold(trade)
    dice = random.Random(7)
    batches = [dice.sample(range(300), 200) for _ in range(8)]
    done = await asyncio.gather(
        *(report(trade.books, [told(trade, n) for n in batch], by=COLLECTOR, now=NOON) for batch in batches)
    )
    distinct = len({number for batch in batches for number in batch})
    assert sum(each.accepted for each in done) == distinct == await used(trade)
    assert sum(each.duplicates for each in done) == 8 * 200 - distinct


async def test_what_cannot_be_counted_is_kept_and_said_why(trade: Trade) -> None:
    """Never silently away; and sent again, it is not kept twice."""
    await sold(trade)
    await trade.imported("thermo2")
    await delete_device(trade.books, trade.product_key, "thermo2", by=PLATFORM, now=NOON)
    late = NOON + 3 * DAY
    batch = [
        told(trade, 1, at=late),
        told(trade, 2, kind=None),
        told(trade, 3, kind=Usage.STORAGE),
        told(trade, 4, device_key="nobody01"),
        told(trade, 5, at=late + DAY + timedelta(seconds=1)),
        told(trade, 6, at=NOON - DAY - timedelta(seconds=1)),
        told(trade, 7, at=late, device_key="thermo2"),
        told(trade, 8, at=NOON, device_key="thermo2"),
        told(trade, 4, device_key="nobody01"),
        told(trade, 9)._replace(product_key="ZZZZZZZZZZZ"),
    ]
    doubts = {
        Doubt.UNKNOWN_KIND: 2,
        Doubt.UNKNOWN_DEVICE: 2,
        Doubt.IN_THE_FUTURE: 1,
        Doubt.BEFORE_ENROLMENT: 1,
        Doubt.AFTER_DELETION: 1,
    }
    assert await report(trade.books, batch, by=COLLECTOR, now=late) == Reported(2, 1, 7, doubts)
    assert await report(trade.books, batch, by=COLLECTOR, now=late) == Reported(0, 10, 0)
    kept = await usage.quarantined(trade.books, after=None, limit=20)
    assert [each.reported["id"] for each in reversed(kept)] == ["r2", "r3", "r4", "r5", "r6", "r7", "r9"]
    assert {each.source for each in kept} == {"gateway"}
    assert await reports.quarantine_size(trade.books) == 7
    assert await used(trade) == 2


async def test_nobody_reports_for_another_account_nor_uses_up_its_ids(trade: Trade) -> None:
    """Mallory of Globex tells of Acme's device first, under Acme's own source and id."""
    await sold(trade)
    globex = await open_account(
        trade.books,
        name="Globex",
        kind=Kind.ENTERPRISE,
        time_zone="UTC",
        mode=Mode.CHARGE,
        data_center="local",
        free=FREE,
        by=PLATFORM,
        now=NOON,
    )
    mallory = alice(globex.id)
    refused = Reported(0, 0, 1, {Doubt.UNKNOWN_DEVICE: 1})
    assert await report(trade.books, [told(trade, 1, 1000)], by=mallory, now=NOON) == refused
    assert await used(trade) == 0
    assert await report(trade.books, [told(trade, 1, 5)], by=trade.alice, now=NOON) == Reported(1, 0, 0)
    assert await used(trade) == 5


async def test_an_empty_batch_changes_nothing(trade: Trade) -> None:
    assert await report(trade.books, [], by=COLLECTOR, now=NOON) == Reported(0, 0, 0)
