"""Months are closed, bills are settled, and the ledger adds up (G1 to G6)."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from tests.verbs.conftest import FREE, NOON, Trade
from tests.verbs.test_meter import in_stock, uses

from licet.accounts import PLATFORM, Mode
from licet.allowances import Usage
from licet.close import Closing, close, statement, statements_of
from licet.enrol import change_account
from licet.excess import Origin
from licet.keep import keep_for
from licet.meter import claim, fold, meter
from licet.ota import complete, reserve
from licet.postgres import ledger, statements, usage
from licet.postgres.usage import Tally
from licet.refusals import Reason, Refused
from licet.statements import Billing, Charge, LedgerType, Settlement, Statement
from licet.topup import pay, top_up

JANUARY, FEBRUARY, MARCH = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)
IN_BERLIN = timedelta(hours=1)  # ahead of UTC in winter


def first_of(month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=UTC) - IN_BERLIN


async def exceeds(
    trade: Trade, units: int, *, at: datetime, counted_at: datetime | None = None, device_key: str = "thermo1"
) -> None:
    """The device uses so much beyond its 1500 messages of that day; it is counted at once, or later."""
    await uses(trade, device_key, 1500 + units, at=at, now=counted_at or at)
    await fold(trade.books, now=counted_at or at)


async def buys(
    trade: Trade, units: int, *, at: datetime, expires_at: datetime | None = None, reference: str = ""
) -> None:
    trade.orders += 1
    await top_up(
        trade.books,
        account_id=trade.account_id,
        usage=Usage.MESSAGES,
        quantity=units,
        origin=Origin.PURCHASE,
        reference=reference or f"top-up {trade.orders}",
        expires_at=expires_at,
        by=PLATFORM,
        now=at,
    )


async def month_of(trade: Trade, month: date, now: datetime) -> Statement:
    found = await statement(trade.books, trade.account_id, month, now=now)
    assert found is not None
    return found


async def rows(trade: Trade) -> list[tuple[str, int, int]]:
    entries = await ledger.page(trade.books, trade.account_id, Usage.MESSAGES, before=None, limit=100)
    assert [entry.balance for entry in reversed(entries)] == [
        sum(entry.quantity for entry in entries[n:]) for n in range(len(entries) - 1, -1, -1)
    ]
    return [(entry.type.value, entry.quantity, entry.balance) for entry in reversed(entries)]


async def test_a_month_is_closed_on_the_first_of_the_next_and_once(trade: Trade) -> None:
    """G1: in the account's calendar; not an instant before, and however often, whoever does it."""
    await in_stock(trade, "thermo1")
    await exceeds(trade, 200, at=NOON)
    closes = first_of(FEBRUARY)
    assert await close(trade.books, now=closes - timedelta(microseconds=1)) == Closing(0)
    running = await month_of(trade, JANUARY, NOON)
    assert (running.billing, running.charges[Usage.MESSAGES]) == (Billing.UNBILLED, Charge(200, 0))
    closings = await asyncio.gather(*(close(trade.books, now=closes) for _ in range(4)))
    assert sum(closing.statements for closing in closings) == 1
    closed = await month_of(trade, JANUARY, closes)
    assert (closed.billing, closed.settlement) == (Billing.BILLED, Settlement.UNSETTLED)
    assert closed.charges[Usage.MESSAGES] == Charge(200, 0)
    assert [each.month for each in await statements_of(trade.books, trade.account_id, limit=12)] == [JANUARY]


async def test_a_purchase_pays_open_bills_the_oldest_first(trade: Trade) -> None:
    """G3: a purchase of 1000 with open bills 35 and 420 leaves 965, then 545; 100 against a larger bill leaves 0."""
    await in_stock(trade, "thermo1")
    await exceeds(trade, 35, at=NOON)
    await exceeds(trade, 420, at=NOON + timedelta(days=31))
    await buys(trade, 1000, at=first_of(MARCH))
    assert await rows(trade) == [("purchase", 1000, 1000), ("bill", -35, 965), ("bill", -420, 545)]
    await exceeds(trade, 700, at=first_of(MARCH) + timedelta(days=3))
    await close(trade.books, now=first_of(date(2026, 4, 1)))
    await buys(trade, 100, at=first_of(date(2026, 4, 1)) + timedelta(days=1))
    assert (await rows(trade))[3:] == [("bill", -545, 0), ("purchase", 100, 100), ("bill", -100, 0)]
    march = await month_of(trade, MARCH, first_of(date(2026, 4, 2)))
    assert (march.charges[Usage.MESSAGES], march.charges[Usage.MESSAGES].owed) == (Charge(700, 645), 55)


async def test_what_expires_first_is_drawn_first_and_what_expired_is_gone(trade: Trade) -> None:
    """G2, G4: a close that runs late takes what was good when the month ended."""
    await in_stock(trade, "thermo1")
    soon, later = first_of(FEBRUARY) + timedelta(days=1), first_of(MARCH)
    await buys(trade, 50, at=NOON, expires_at=later)
    await buys(trade, 30, at=NOON, expires_at=soon)
    await buys(trade, 20, at=NOON, expires_at=NOON + timedelta(days=1))
    await exceeds(trade, 40, at=NOON)
    await close(trade.books, now=later + timedelta(days=5))
    assert (await rows(trade))[3:] == [("expiry", -20, 80), ("bill", -40, 40), ("expiry", -40, 0)]
    january = await month_of(trade, JANUARY, later)
    assert january.settlement is Settlement.SETTLED


async def test_buying_under_a_reference_is_done_once(trade: Trade) -> None:
    await asyncio.gather(*(buys(trade, 100, at=NOON, reference="PO-9") for _ in range(5)))
    assert await rows(trade) == [("purchase", 100, 100)]
    with pytest.raises(Refused) as refused:
        await buys(trade, 101, at=NOON, reference="PO-9")
    assert refused.value.reason is Reason.REFERENCE_USED


async def test_what_arrives_late_is_billed_with_the_next_month_and_says_so(trade: Trade) -> None:
    """G6: a closed month never reopens."""
    await in_stock(trade, "thermo1", "thermo2")
    await exceeds(trade, 10, at=NOON)
    await close(trade.books, now=first_of(FEBRUARY))
    await exceeds(trade, 7, at=NOON, counted_at=first_of(FEBRUARY), device_key="thermo2")
    await exceeds(trade, 5, at=NOON + timedelta(days=31))
    await close(trade.books, now=first_of(MARCH))
    january = await month_of(trade, JANUARY, first_of(MARCH))
    february = await month_of(trade, FEBRUARY, first_of(MARCH))
    assert january.charges[Usage.MESSAGES].excess == 10
    lines = {(line.usage, line.from_month): line.excess for line in february.lines}
    assert lines == {(Usage.MESSAGES, FEBRUARY): 5, (Usage.MESSAGES, JANUARY): 7}
    assert february.charges[Usage.MESSAGES].excess == 12


async def test_a_bill_is_paid_by_reference_in_parts_and_never_too_much(trade: Trade) -> None:
    """G5."""
    await in_stock(trade, "thermo1")
    await exceeds(trade, 100, at=NOON)
    now = first_of(FEBRUARY)

    async def paid(quantity: int, reference: str) -> None:
        await pay(
            trade.books,
            account_id=trade.account_id,
            month=JANUARY,
            usage=Usage.MESSAGES,
            quantity=quantity,
            reference=reference,
            by=PLATFORM,
            now=now,
        )

    await asyncio.gather(*(paid(40, "transfer 1") for _ in range(3)))
    with pytest.raises(Refused) as refused:
        await paid(61, "transfer 2")
    assert (refused.value.reason, refused.value.facts["owed"]) == (Reason.MORE_THAN_OWED, 60)
    await paid(60, "transfer 2")
    assert (await month_of(trade, JANUARY, now)).charges[Usage.MESSAGES] == Charge(100, 100)


async def test_ota_beyond_the_months_allowance_is_excess(trade: Trade) -> None:
    """F1, F2, G1: 6 MB with 1 allowed is 1 covered and 1 excess."""
    await in_stock(trade, "thermo1")
    six_mb = 6 * 2**20
    started = await reserve(trade.books, trade.product_key, "thermo1", bytes=six_mb, by=trade.alice, now=NOON)
    await complete(trade.books, started.id, bytes=six_mb, by=trade.alice, now=NOON)
    await close(trade.books, now=first_of(FEBRUARY))
    assert (await month_of(trade, JANUARY, first_of(FEBRUARY))).charges[Usage.OTA] == Charge(1, 0)


async def test_in_block_mode_topups_are_drawn_as_it_happens_and_let_devices_back_in(trade: Trade) -> None:
    """E4, G4: cut off when they are used up; what they did not reach is owed at the end of the month."""
    await in_stock(trade, "thermo1")
    yesterday = NOON - timedelta(days=1)
    await change_account(trade.books, trade.account_id, mode=Mode.BLOCK, free=FREE, by=PLATFORM, now=yesterday)
    await buys(trade, 100, at=NOON)
    await exceeds(trade, 60, at=NOON)
    assert (await trade.knocks("thermo1"))[0].admitted
    await uses(trade, "thermo1", 45, at=NOON)
    assert (await fold(trade.books, now=NOON)).cut_off == 1
    assert not (await trade.knocks("thermo1"))[0].admitted
    assert await rows(trade) == [("purchase", 100, 100), ("excess", -60, 40), ("excess", -40, 0)]
    await buys(trade, 10, at=NOON)
    assert (await trade.knocks("thermo1"))[0].admitted
    await uses(trade, "thermo1", 10, at=NOON)
    assert (await fold(trade.books, now=NOON)).cut_off == 1
    await close(trade.books, now=first_of(FEBRUARY))
    assert (await month_of(trade, JANUARY, first_of(FEBRUARY))).charges[Usage.MESSAGES] == Charge(115, 110)


@pytest.mark.parametrize("table", ["ledger", "statements", "statement_lines", "statement_parts", "payments"])
async def test_what_is_written_is_never_changed(trade: Trade, database_url: str, table: str) -> None:
    """G4, G6: the database itself refuses."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        for change in (SQL("UPDATE {} SET account_id = account_id"), SQL("DELETE FROM {}"), SQL("TRUNCATE {} CASCADE")):
            with pytest.raises(psycopg.errors.IntegrityError, match="never changed"):
                await connection.execute(change.format(Identifier(table)))


def test_types_of_the_ledger_are_those_of_the_rule() -> None:
    """G4."""
    assert {each.value for each in LedgerType} == {"gift", "purchase", "excess", "bill", "expiry"}


async def test_an_upgrade_that_completes_after_its_month_was_closed_is_billed_late(trade: Trade) -> None:
    """F3, G6: it counts in the month it was reserved in."""
    await in_stock(trade, "thermo1")
    six_mb = 6 * 2**20
    started = await reserve(trade.books, trade.product_key, "thermo1", bytes=six_mb, by=trade.alice, now=NOON)
    await close(trade.books, now=first_of(FEBRUARY))
    later = first_of(FEBRUARY) + timedelta(days=5)
    await complete(trade.books, started.id, bytes=six_mb, by=trade.alice, now=later)
    await close(trade.books, now=first_of(MARCH))
    february = await month_of(trade, FEBRUARY, first_of(MARCH))
    assert [(line.usage, line.from_month, line.excess) for line in february.lines] == [(Usage.OTA, JANUARY, 1)]


async def test_what_was_counted_after_the_account_moved_west_is_not_lost(trade: Trade) -> None:
    """G1, G6: January was closed in Berlin; in Honolulu it is still January, and its last day goes on."""
    await in_stock(trade, "thermo1")
    closes = first_of(FEBRUARY)
    await close(trade.books, now=closes)
    await change_account(
        trade.books, trade.account_id, time_zone="Pacific/Honolulu", free=FREE, by=PLATFORM, now=closes
    )
    await exceeds(trade, 9, at=closes + timedelta(hours=5))
    march_there = datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert (await close(trade.books, now=march_there)).statements == 1
    february = await month_of(trade, FEBRUARY, march_there)
    assert [(line.usage, line.from_month, line.excess) for line in february.lines] == [(Usage.MESSAGES, JANUARY, 9)]


async def test_what_is_kept_longer_than_granted_is_excess(trade: Trade) -> None:
    """E5, G1, G6: in MiB-days, by product and day; what comes late is late for every month it was kept in."""
    await in_stock(trade, "thermo1")  # 7 days are granted
    await keep_for(trade.books, trade.product_key, 60, by=trade.alice, now=NOON)
    await stores(trade, 3 * 2**20, at=NOON)
    live = await month_of(trade, JANUARY, first_of(FEBRUARY) - timedelta(hours=1))
    await close(trade.books, now=first_of(FEBRUARY))
    january = await month_of(trade, JANUARY, first_of(FEBRUARY))
    assert january.charges[Usage.STORAGE] == live.charges[Usage.STORAGE] == Charge(3 * 14, 0)  # the 18th to the 31st
    await close(trade.books, now=first_of(MARCH))
    february = await month_of(trade, FEBRUARY, first_of(MARCH))
    assert february.charges[Usage.STORAGE] == Charge(3 * 28, 0)
    await stores(trade, 2**20, at=NOON, counted_at=first_of(MARCH) + timedelta(days=1))
    april = first_of(date(2026, 4, 1))
    await close(trade.books, now=april)
    march = await month_of(trade, MARCH, april)
    assert [(line.from_month, line.excess) for line in march.lines] == [(JANUARY, 14), (FEBRUARY, 28), (MARCH, 4 * 11)]
    parts = await statements.parts(
        trade.books, trade.account_id, MARCH, Usage.STORAGE, by="day", product_key=trade.product_key, limit=1000
    )
    assert sum(part.excess for part in parts) == 14 + 28 + 4 * 11
    assert {part.excess for part in parts} == {1, 4}


async def stores(trade: Trade, bytes_: int, *, at: datetime, counted_at: datetime | None = None) -> None:
    """A device sends so many bytes, which are stored."""
    last = (await usage.behind(trade.books)).get("s", (0, None))[0] + 1
    claimed = await claim(trade.books, "s", last_sequence=last, most=1, claimed_by="reader", now=NOON)
    assert claimed is not None
    tallies = [Tally(trade.product_key, "thermo1", int(at.timestamp()) // 900, 1, 0, bytes_)]
    assert await meter(trade.books, claimed, tallies, now=counted_at or at)
