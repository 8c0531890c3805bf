"""Faults that the simulation has found, each with the shortest story that showed it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.verbs.conftest import DAY, NOON, Trade

from licet.accounts import PLATFORM
from licet.activations import Answer
from licet.assign import assign
from licet.mint import credit
from licet.postgres import lots
from licet.postgres.books import Books
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
