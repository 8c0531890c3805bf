"""Codes are credited, assigned and numbered; packages are defined and upgraded (A1 to A11, B1 to B4)."""

import asyncio
from datetime import timedelta

import pytest
from tests.verbs.conftest import DAY, FREE, NOON, Trade, alice, allowance

from licet.accounts import PLATFORM, By, Kind, Mode, Role
from licet.assign import assign, maximum
from licet.enrol import change_account, create_product, delete_product, open_account
from licet.lots import Codes, Origin
from licet.mint import credit, define_package
from licet.packages import Package
from licet.postgres import accounts, activations, lots, packages, products
from licet.products import Product
from licet.refusals import Reason, Refused
from licet.upgrade import upgrade


async def product_of(trade: Trade, product_key: str = "") -> Product:
    product = await products.get(trade.books, product_key or trade.product_key, now=NOON)
    assert product is not None
    return product


async def assigned(trade: Trade, package: Package, quantity: int, by: By | None = None) -> None:
    await assign(
        trade.books,
        product_key=trade.product_key,
        package_id=package.id,
        quantity=quantity,
        by=by or trade.alice,
        now=NOON,
    )


async def test_free_codes_are_given_once_per_account_and_kind(trade: Trade) -> None:
    """A8: ten to an enterprise, five to an individual, five more when it becomes one; unassigned."""
    mine = await accounts.codes(trade.books, trade.account_id, now=NOON)
    assert (mine.codes, mine.unassigned) == (Codes(10, 0), 10)
    individual = await open_account(
        trade.books,
        name="Bob",
        kind=Kind.INDIVIDUAL,
        time_zone="UTC",
        mode=Mode.CHARGE,
        data_center="local",
        free=FREE,
        by=PLATFORM,
        now=NOON,
    )
    assert (await accounts.codes(trade.books, individual.id, now=NOON)).unassigned == 5
    for _ in range(2):
        await change_account(trade.books, individual.id, kind=Kind.ENTERPRISE, free=FREE, by=PLATFORM, now=NOON)
    assert (await accounts.codes(trade.books, individual.id, now=NOON)).unassigned == 10
    (lot, _) = await lots.page(trade.books, individual.id, limit=10)
    assert lot.origin is Origin.FREE
    with pytest.raises(Refused) as refused:
        await change_account(trade.books, individual.id, kind=Kind.INDIVIDUAL, free=FREE, by=PLATFORM, now=NOON)
    assert refused.value.reason is Reason.STAYS_AN_ENTERPRISE


async def test_total_is_available_plus_consumed_for_products_and_account(trade: Trade) -> None:
    """B1, B2, B3: a device that renewed counts twice."""
    package = await trade.package("P10D")
    await trade.credited(5, package)
    await trade.credited(3, package, to=None)
    await trade.imported("thermo1")
    await trade.knocks("thermo1")
    await trade.knocks("thermo1", now=NOON + 10 * DAY)
    product = await product_of(trade)
    assert product.codes == Codes(3, 2)
    account = await accounts.codes(trade.books, trade.account_id, now=NOON)
    assert account.codes.total == product.codes.total + account.unassigned == 18
    assert account.codes.consumed == 2


async def test_crediting_an_order_again_changes_nothing(trade: Trade) -> None:
    """A9: idempotent by its order reference, also when both come at once; other codes under it are refused."""
    package = await trade.package()

    async def order(quantity: int) -> str:
        lot = await credit(
            trade.books,
            account_id=trade.account_id,
            product_key=trade.product_key,
            package_id=package.id,
            quantity=quantity,
            order_reference="PO-1",
            by=PLATFORM,
            now=NOON,
        )
        return lot.id

    assert len(set(await asyncio.gather(*(order(7) for _ in range(5))))) == 1
    assert (await product_of(trade)).codes.total == 7
    with pytest.raises(Refused) as refused:
        await order(8)
    assert refused.value.reason is Reason.ORDER_CREDITED


async def test_codes_of_another_allowance_are_refused_with_both_named(trade: Trade) -> None:
    """A6: one package per product; another name for the same allowance will do."""
    year, longer = await trade.package("P1Y"), await trade.package("P2Y")
    await trade.credited(5, year)
    await trade.credited(5, longer, to=None)
    with pytest.raises(Refused) as refused:
        await assigned(trade, longer, 1)
    assert refused.value.reason is Reason.ALLOWANCE_DIFFERS
    assert "1 year" in refused.value.sentence
    assert "2 years" in refused.value.sentence
    twin = await define_package(trade.books, name="twin", allowance=year.allowance, by=PLATFORM, now=NOON)
    await trade.credited(5, twin, to=None)
    await assigned(trade, twin, 5)
    assert (await product_of(trade)).codes.total == 10


async def test_at_most_what_is_unassigned_is_assigned_whoever_comes_at_once(trade: Trade) -> None:
    """A10: all or none; the maximum is shown beforehand; each assignment is kept."""
    package = await trade.package()
    await trade.credited(60, package, to=None)
    await trade.credited(40, package, to=None)
    most = await maximum(trade.books, product_key=trade.product_key, package_id=package.id, by=trade.alice, now=NOON)
    assert most == 100
    outcomes = await asyncio.gather(*(assigned(trade, package, 30) for _ in range(5)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert [each.reason for each in refused] == [Reason.TOO_FEW_UNASSIGNED] * 2
    assert refused[0].facts["maximum"] == 10
    kept = await lots.assignments(trade.books, trade.account_id, limit=10)
    assert [(each.quantity, each.assigned_by, each.package) for each in kept] == [(30, "Alice", package)] * 3
    assert (await product_of(trade)).codes.total == 90


async def test_a_number_says_which_lot_its_code_came_from(trade: Trade) -> None:
    """A2: 1, 2, 3 …, over an assignment that took from two lots."""
    package = await trade.package()
    await trade.credited(2, package, to=None)
    await trade.credited(3, package, to=None)
    await assigned(trade, package, 5)
    await trade.credited(1, package)
    await trade.imported(*(f"device{n}" for n in range(6)))
    await trade.knocks(*(f"device{n}" for n in range(6)))
    came = {}
    for n in range(6):
        (span,) = await activations.history(trade.books, trade.product_key, f"device{n}")
        came[span.number] = span.order_reference
    orders = {lot.order_reference: lot.id for lot in await lots.page(trade.books, trade.account_id, limit=10)}
    first, second = sorted(["order 1", "order 2"], key=lambda order: orders[order])
    counts = {"order 1": 2, "order 2": 3}
    assert [came[n] for n in range(1, 7)] == [first] * counts[first] + [second] * counts[second] + ["order 3"]


async def test_codes_past_their_use_by_are_gone_from_every_counter(trade: Trade) -> None:
    """A11: Total = Consumed + Available at any instant."""
    package = await trade.package()
    await trade.credited(5, package, use_by=NOON + DAY)
    await trade.credited(4, package, to=None, use_by=NOON + DAY)
    before = await accounts.codes(trade.books, trade.account_id, now=NOON + DAY - timedelta(microseconds=1))
    after = await accounts.codes(trade.books, trade.account_id, now=NOON + DAY)
    assert (before.codes.total, before.unassigned) == (19, 14)
    assert (after.codes.total, after.unassigned) == (10, 10)
    await trade.imported("thermo1")
    (answer,) = await trade.knocks("thermo1", now=NOON + DAY)
    assert answer.refusal is not None
    assert answer.refusal.reason is Reason.NO_CODE_AVAILABLE


async def test_an_upgrade_is_uniform_and_only_upwards(trade: Trade) -> None:
    """A7: unconsumed codes have the new term at once; messages count from the account's next midnight."""
    year, more = await trade.package("P1Y"), await trade.package("P2Y", messages=3000)
    less = await trade.package("P3Y", messages=100)
    with pytest.raises(Refused) as refused:
        await upgrade(trade.books, trade.product_key, package_id=more.id, by=trade.alice, now=NOON)
    assert refused.value.reason is Reason.NO_PACKAGE_YET
    await trade.credited(2, year)
    await trade.imported("thermo1")
    await upgrade(trade.books, trade.product_key, package_id=more.id, by=trade.alice, now=NOON)
    (answer,) = await trade.knocks("thermo1")
    assert answer.until == NOON.replace(year=2028)
    history = await products.packages_of(trade.books, (await product_of(trade)).id)
    assert [package.id for package, *_ in history] == [year.id, more.id]
    assert history[1][2] == NOON.replace(hour=23), "midnight in Berlin is 23:00 UTC in winter"
    for by, force, reason in (
        (trade.alice, False, Reason.NOT_AN_UPGRADE),
        (trade.alice, True, Reason.NOT_PERMITTED),
    ):
        with pytest.raises(Refused) as refused:
            await upgrade(trade.books, trade.product_key, package_id=less.id, force=force, by=by, now=NOON)
        assert refused.value.reason is reason
    forced = await upgrade(trade.books, trade.product_key, package_id=less.id, force=True, by=PLATFORM, now=NOON)
    assert forced.package == less


async def test_a_deleted_product_forfeits_its_codes(trade: Trade) -> None:
    """C6: products and what is unassigned still make up the account."""
    await trade.credited(5, await trade.package())
    await delete_product(trade.books, trade.product_key, by=trade.alice, now=NOON)
    account = await accounts.codes(trade.books, trade.account_id, now=NOON)
    assert (account.codes.total, account.unassigned) == (10, 10)
    assert await products.get(trade.books, trade.product_key, now=NOON) is None


async def test_what_is_another_accounts_does_not_exist(trade: Trade) -> None:
    """§8, B4: an account sees its own codes; its home is one data centre and its ids are random."""
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
    assert globex.data_center == "local"
    mallory = alice(globex.id)
    package = await trade.package()
    await trade.credited(5, package, to=None)
    attempts = [
        assigned(trade, package, 1, by=mallory),
        upgrade(trade.books, trade.product_key, package_id=package.id, by=mallory, now=NOON),
        delete_product(trade.books, trade.product_key, by=mallory, now=NOON),
        create_product(trade.books, account_id=trade.account_id, name="x", by=mallory, now=NOON),
        change_account(trade.books, trade.account_id, name="x", free=FREE, by=mallory, now=NOON),
    ]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert [outcome.reason for outcome in outcomes if isinstance(outcome, Refused)] == [Reason.NOT_FOUND] * 5
    assert mallory.role is Role.OWNER


async def test_a_name_is_one_packages_own(trade: Trade) -> None:
    """A3: a package fixes the allowance, and its name says which."""
    await define_package(trade.books, name="year", allowance=allowance(), by=PLATFORM, now=NOON)
    with pytest.raises(Refused) as refused:
        await define_package(trade.books, name="year", allowance=allowance("P2Y"), by=PLATFORM, now=NOON)
    assert (refused.value.reason, refused.value.facts["name"]) == (Reason.NAME_TAKEN, "year")
    found = await packages.named(trade.books, "year")
    assert found is not None
    assert found.allowance == allowance()
