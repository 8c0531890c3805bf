"""Faults that the simulation has found, each with the shortest story that showed it."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.verbs.conftest import DAY, NOON, Trade

from licet.accounts import PLATFORM
from licet.activations import Answer, Lapse
from licet.assign import assign
from licet.enrol import delete_device, register, reset_device
from licet.mint import credit
from licet.postgres import activations, lots
from licet.postgres.books import Books
from licet.products import Registration
from licet.sweep import sweep
from licet.upgrade import upgrade

_WAITING = b"SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@asynccontextmanager
async def knocks_meanwhile(trade: Trade, answers: list[Answer], *device_keys: str) -> AsyncIterator[Books]:
    """A transaction; before it ends the devices have knocked and wait for what it holds."""
    async with trade.books.transaction() as books:
        yield books
        knocking = asyncio.create_task(trade.knocks(*device_keys))
        while not await trade.books.all(_WAITING):  # noqa: ASYNC110 - another process says when
            await asyncio.sleep(0.01)
    answers += await knocking


async def test_codes_are_assigned_from_the_oldest_lot_first(trade: Trade) -> None:
    """A10: ids of lots are random, and say nothing about which is older."""
    package = await trade.package()
    for day in range(8):
        await trade.credited(1, package, to=None, now=NOON + day * DAY)
    for n in range(1, 9):
        await assign(
            trade.books,
            product_key=trade.product_key,
            package_id=package.id,
            quantity=1,
            by=trade.alice,
            now=NOON + 9 * DAY,
        )
        credited = await lots.page(trade.books, trade.account_id, limit=20)
        used = sorted(lot.credited_at for lot in credited if lot.package_id == package.id and lot.assigned)
        assert used == [NOON + day * DAY for day in range(n)]


async def test_a_knock_that_waits_for_a_products_first_codes_gets_one(trade: Trade) -> None:
    """C2: the package that the product got while the knock waited for it is the product's package."""
    package = await trade.package()
    await trade.imported("thermo1")
    answers: list[Answer] = []
    async with knocks_meanwhile(trade, answers, "thermo1") as books:
        await credit(
            books,
            account_id=trade.account_id,
            product_key=trade.product_key,
            package_id=package.id,
            quantity=1,
            order_reference="the first",
            by=PLATFORM,
            now=NOON,
        )
    assert answers == [Answer(until=NOON.replace(year=2027))]


async def test_a_knock_that_waits_for_an_upgrade_gets_the_new_term(trade: Trade) -> None:
    """A7: changing a product's package changes it for all codes that are consumed afterwards."""
    await trade.credited(1, await trade.package("P1Y"))
    longer = await trade.package("P2Y")
    await trade.imported("thermo1")
    answers: list[Answer] = []
    async with knocks_meanwhile(trade, answers, "thermo1") as books:
        await upgrade(books, trade.product_key, package_id=longer.id, by=trade.alice, now=NOON)
    assert answers == [Answer(until=NOON.replace(year=2028))]


async def test_a_virtual_device_that_is_reset_and_registers_is_still_virtual(trade: Trade) -> None:
    """C7: it needs no code, whatever becomes of its secret."""
    await trade.imported("debug1", virtual=True)
    await reset_device(trade.books, trade.product_key, "debug1", by=trade.alice, now=NOON)
    asked = f"{trade.product_key}/debug1/nonce001".encode()
    signature = hmac.new(trade.product_secret.encode(), asked, hashlib.sha256).hexdigest()
    asks = Registration(trade.product_key, "debug1", "nonce001", signature)
    trade.secrets["debug1"] = await register(trade.books, asks, now=NOON)
    assert await trade.knocks("debug1") == [Answer()]


async def test_a_device_that_is_back_as_the_virtual_one_consumes_no_more_codes(trade: Trade) -> None:
    """C7: its old span ends, and no code follows."""
    await trade.credited(2, await trade.package("P30D"))
    await trade.imported("thermo1")
    await trade.knocks("thermo1")
    await delete_device(trade.books, trade.product_key, "thermo1", by=trade.alice, now=NOON + DAY)
    await trade.imported("thermo1", virtual=True, now=NOON + 2 * DAY)
    await sweep(trade.books, now=NOON + 31 * DAY)
    (span,) = await activations.history(trade.books, trade.product_key, "thermo1")
    assert span.lapse is Lapse.RENEWAL_OFF
    assert await trade.knocks("thermo1", now=NOON + 31 * DAY) == [Answer()]


async def test_who_begins_later_and_ends_earlier_renews_as_well(trade: Trade) -> None:
    """D1: 29 January at ten and a month end on 28 February at ten; 28 January in the evening, only that evening.

    The slice of renewals that began with the one went on to where its successor ended, and so the other's successor,
    begun in that slice, ended in it: it lapsed at once, with codes at hand.
    """
    await trade.credited(10, await trade.package("P1M"))
    await trade.imported("evening1", "morning1")
    evening = NOON.replace(month=12, day=28, hour=21, minute=45)
    morning = NOON.replace(month=12, day=29, hour=10, minute=14)
    await trade.knocks("evening1", now=evening)
    await trade.knocks("morning1", now=morning)
    await sweep(trade.books, now=NOON.replace(year=2027, month=3, day=1))
    spans = await activations.history(trade.books, trade.product_key, "morning1")
    assert [(span.starts_at, span.lapse) for span in spans] == [
        (morning, None),
        (morning.replace(year=2027, month=1), None),
        (morning.replace(year=2027, month=2, day=28), None),
    ]
