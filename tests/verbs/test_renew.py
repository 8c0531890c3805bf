"""Codes expire and are followed by the next, or not (D1 to D5, D7); the sweep may come late, twice or not at all."""

import asyncio
from datetime import datetime, timedelta

from tests.verbs.conftest import DAY, NOON, Trade

from licet.accounts import PLATFORM
from licet.activations import Activation, Lapse, Reason
from licet.enrol import change_product, delete_device, import_devices, list_no_renewal
from licet.events import Kind
from licet.lifecycle import DeviceState
from licet.packages import Package
from licet.postgres import activations, devices, events, products
from licet.products import Imported, RenewalPolicy
from licet.refusals import Reason as No
from licet.sweep import sweep
from licet.upgrade import upgrade

MINUTE = timedelta(minutes=1)
TEN_DAYS = 10 * DAY


async def spans(trade: Trade, device_key: str) -> list[Activation]:
    return await activations.history(trade.books, trade.product_key, device_key)


async def state(trade: Trade, device_key: str, now: datetime) -> DeviceState:
    device = await devices.get(trade.books, trade.product_key, device_key, now=now)
    assert device is not None
    return device.state


async def stocked(trade: Trade, codes: int, *device_keys: str, term: str = "P10D") -> None:
    await trade.credited(codes, await trade.package(term))
    await trade.imported(*device_keys)


async def test_the_next_code_follows_where_the_old_one_ended(trade: Trade) -> None:
    """D1, D7."""
    await stocked(trade, 3, "thermo1")
    await trade.knocks("thermo1")
    assert await sweep(trade.books, now=NOON + TEN_DAYS - MINUTE) != await sweep(trade.books, now=NOON + TEN_DAYS)
    first, second = await spans(trade, "thermo1")
    assert (first.number, first.reason, first.lapse) == (1, Reason.FIRST, None)
    assert (second.number, second.reason) == (2, Reason.RENEWAL)
    assert second.starts_at == first.ends_at == NOON + TEN_DAYS
    assert await state(trade, "thermo1", NOON + TEN_DAYS) is DeviceState.ACTIVE


async def test_a_sweep_that_comes_late_or_twice_writes_the_same(trade: Trade) -> None:
    """Three terms later one sweep has written all of them; the next one, nothing."""
    await stocked(trade, 10, "thermo1")
    await trade.knocks("thermo1")
    swept = await sweep(trade.books, now=NOON + 3 * TEN_DAYS + MINUTE)
    assert swept.renewed == 3
    again = await sweep(trade.books, now=NOON + 3 * TEN_DAYS + MINUTE)
    assert (again.renewed, again.lapsed) == (0, 0)
    assert [span.starts_at for span in await spans(trade, "thermo1")] == [NOON + n * TEN_DAYS for n in range(4)]


async def test_without_a_sweep_the_knock_settles_what_was_due(trade: Trade) -> None:
    await stocked(trade, 2, "thermo1", "thermo2")
    await trade.knocks("thermo1")
    late = NOON + TEN_DAYS + MINUTE
    (answer,) = await trade.knocks("thermo2", now=late)
    assert answer.refusal is not None
    assert answer.refusal.reason is No.NO_CODE_AVAILABLE, "the second code was thermo1's a minute ago"
    assert await state(trade, "thermo1", late) is DeviceState.ACTIVE


async def test_with_no_code_left_it_lapses_and_must_knock_again(trade: Trade) -> None:
    """D2: inactive at that moment; codes that come later are not consumed before it knocks."""
    await stocked(trade, 1, "thermo1")
    await trade.knocks("thermo1")
    expired = NOON + TEN_DAYS
    assert await state(trade, "thermo1", expired) is DeviceState.INACTIVE, "time expires a device, no job does"
    await trade.credited(5, await package_of(trade), now=expired + MINUTE)
    await sweep(trade.books, now=expired + 2 * MINUTE)
    (span,) = await spans(trade, "thermo1")
    assert span.lapse is Lapse.NO_CODE_AVAILABLE
    (answer,) = await trade.knocks("thermo1", now=expired + DAY)
    assert answer.until == expired + DAY + TEN_DAYS, "a device that comes back after expiry starts at that connect"
    assert (await spans(trade, "thermo1"))[1].reason is Reason.REACTIVATION


async def package_of(trade: Trade) -> Package:
    product = await products.get(trade.books, trade.product_key, now=NOON)
    assert product is not None
    assert product.package is not None
    return product.package


async def test_codes_that_are_fewer_than_devices_go_to_the_earliest_then_by_key(trade: Trade) -> None:
    """D5, with the sweep long after all of them expired."""
    await stocked(trade, 7, "aaaa", "bbbb", "cccc", "dddd")
    await trade.knocks("dddd", now=NOON - MINUTE)
    await trade.knocks("cccc", "bbbb", "aaaa")
    await sweep(trade.books, now=NOON + TEN_DAYS + DAY)
    renewed = [key for key in ("aaaa", "bbbb", "cccc", "dddd") if len(await spans(trade, key)) == 2]
    assert renewed == ["aaaa", "bbbb", "dddd"]


async def test_scarce_codes_follow_true_time_over_several_terms(trade: Trade) -> None:
    """One device expires twice before another expires once: its second renewal comes first, however late the sweep."""
    await stocked(trade, 4, "early", "later")
    await trade.knocks("early")
    await trade.knocks("later", now=NOON + 9 * DAY)
    await sweep(trade.books, now=NOON + 100 * DAY)
    # 4 codes: early at 0, later at 9, early again at 10, later again at 19; nothing is left for early at 20.
    assert [span.starts_at for span in await spans(trade, "early")] == [NOON, NOON + 10 * DAY]
    assert [span.starts_at for span in await spans(trade, "later")] == [NOON + 9 * DAY, NOON + 19 * DAY]


async def test_devices_on_the_list_go_offline_at_expiry(trade: Trade) -> None:
    """D3: and do not come back by knocking, until they are off the list."""
    await stocked(trade, 5, "thermo1", "thermo2")
    await trade.knocks("thermo1", "thermo2")
    await list_no_renewal(trade.books, trade.product_key, ["thermo1"], renews=False, by=trade.alice, now=NOON)
    expired = NOON + TEN_DAYS
    await sweep(trade.books, now=expired)
    assert len(await spans(trade, "thermo2")) == 2
    (span,) = await spans(trade, "thermo1")
    assert span.lapse is Lapse.RENEWAL_OFF
    (answer,) = await trade.knocks("thermo1", now=expired)
    assert answer.refusal is not None
    assert answer.refusal.reason is No.RENEWAL_OFF
    await list_no_renewal(trade.books, trade.product_key, ["thermo1"], renews=True, by=trade.alice, now=expired)
    (answer,) = await trade.knocks("thermo1", now=expired)
    assert answer.until == expired + TEN_DAYS


async def test_a_switch_counts_from_when_it_was_thrown(trade: Trade) -> None:
    """D3: renewal that is switched off after an expiry does not undo it, though no sweep had run."""
    await stocked(trade, 5, "thermo1")
    await trade.knocks("thermo1")
    late = NOON + TEN_DAYS + MINUTE
    await change_product(trade.books, trade.product_key, auto_renewal=False, by=trade.alice, now=late)
    assert len(await spans(trade, "thermo1")) == 2
    await sweep(trade.books, now=NOON + 2 * TEN_DAYS)
    assert (await spans(trade, "thermo1"))[-1].lapse is Lapse.RENEWAL_OFF


async def test_on_connect_a_dead_device_costs_nothing(trade: Trade) -> None:
    """D4."""
    await stocked(trade, 2, "thermo1")
    await change_product(
        trade.books, trade.product_key, renewal_policy=RenewalPolicy.ON_CONNECT, by=trade.alice, now=NOON
    )
    await trade.knocks("thermo1")
    calls = NOON + 3 * TEN_DAYS
    assert (await sweep(trade.books, now=calls)).renewed == 0
    (answer,) = await trade.knocks("thermo1", now=calls)
    assert answer.until == calls + TEN_DAYS
    first, second = await spans(trade, "thermo1")
    assert first.lapse is Lapse.ON_CONNECT
    assert second.reason is Reason.RENEWAL


async def test_a_deleted_device_is_not_renewed_and_pays_nothing_if_it_is_back_in_time(trade: Trade) -> None:
    """C6."""
    await stocked(trade, 5, "thermo1", "thermo2")
    await trade.knocks("thermo1", "thermo2")
    for key in ("thermo1", "thermo2"):
        await delete_device(trade.books, trade.product_key, key, by=trade.alice, now=NOON)
    (answer,) = await trade.knocks("thermo1", now=NOON + DAY)
    assert answer.refusal is not None
    assert answer.refusal.reason is No.NOT_AUTHORIZED
    await trade.imported("thermo1", now=NOON + DAY)
    (answer,) = await trade.knocks("thermo1", now=NOON + DAY)
    assert answer.until == NOON + TEN_DAYS
    assert len(await spans(trade, "thermo1")) == 1
    await sweep(trade.books, now=NOON + TEN_DAYS)
    (span,) = await spans(trade, "thermo2")
    assert span.lapse is Lapse.DELETED
    # Back after it ended: that span stays over, although codes are there.
    made = await import_devices(
        trade.books, trade.product_key, [Imported("thermo2")], by=PLATFORM, now=NOON + TEN_DAYS + DAY
    )
    trade.secrets |= dict(made)
    await sweep(trade.books, now=NOON + TEN_DAYS + DAY)
    assert await state(trade, "thermo2", NOON + TEN_DAYS + DAY) is DeviceState.INACTIVE


async def test_codes_with_a_use_by_renew_only_before_it(trade: Trade) -> None:
    """A11: what would be lost first is consumed first; a renewal after the use_by takes other codes."""
    package = await trade.package("P10D")
    await trade.credited(1, package)
    await trade.credited(2, package, use_by=NOON + 15 * DAY)
    await trade.imported("thermo1")
    await trade.knocks("thermo1")
    await sweep(trade.books, now=NOON + 100 * DAY)
    assert [span.number for span in await spans(trade, "thermo1")] == [2, 3, 1]
    product = await products.get(trade.books, trade.product_key, now=NOON + 100 * DAY)
    assert product is not None
    assert (product.codes.total, product.codes.available) == (3, 0)


async def test_an_upgrade_leaves_running_terms_and_settles_what_was_due_by_the_old_one(trade: Trade) -> None:
    """A7."""
    await stocked(trade, 5, "thermo1")
    await trade.knocks("thermo1")
    longer = await trade.package("P20D")
    late = NOON + TEN_DAYS + MINUTE
    await upgrade(trade.books, trade.product_key, package_id=longer.id, by=trade.alice, now=late)
    assert [span.ends_at for span in await spans(trade, "thermo1")] == [NOON + TEN_DAYS, NOON + 2 * TEN_DAYS]
    await sweep(trade.books, now=NOON + 2 * TEN_DAYS)
    assert (await spans(trade, "thermo1"))[-1].ends_at == NOON + 4 * TEN_DAYS


async def test_sweeps_knocks_and_purchases_at_once_never_take_a_code_twice(trade: Trade) -> None:
    keys = [f"device{n:03}" for n in range(120)]
    await stocked(trade, 200, *keys)
    await trade.knocks(*keys[:100])
    late = NOON + TEN_DAYS + MINUTE
    await asyncio.gather(
        *(sweep(trade.books, now=late) for _ in range(4)),
        *(trade.knocks(*keys[n : n + 30], now=late) for n in range(0, 120, 15)),
        trade.credited(10, await package_of(trade), now=late),
    )
    history = {key: await spans(trade, key) for key in keys}
    numbers = sorted(span.number for each in history.values() for span in each)
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(len(history[key]) == 2 for key in keys[:100])
    assert sum(len(history[key]) for key in keys[100:]) == len(numbers) - 200


async def test_a_clock_that_is_behind_hides_no_expiry_from_the_sweep(trade: Trade) -> None:
    """A sweep ran far ahead; a device that then connects by the true time still gets its renewals."""
    await stocked(trade, 10, "thermo1", "thermo2")
    await trade.knocks("thermo1")
    await sweep(trade.books, now=NOON + 5 * TEN_DAYS)
    await trade.knocks("thermo2", now=NOON + DAY)
    await sweep(trade.books, now=NOON + 2 * TEN_DAYS)
    assert len(await spans(trade, "thermo2")) == 2


async def test_what_happened_is_told_once_per_device(trade: Trade) -> None:
    """A transactional outbox: renewals and lapses are among the events, each device once."""
    await stocked(trade, 3, "thermo1", "thermo2")
    await trade.knocks("thermo1", "thermo2")
    for _ in range(2):
        await sweep(trade.books, now=NOON + TEN_DAYS + MINUTE)
    told = await events.page(trade.books, trade.account_id, after=None, limit=100)
    renewed = [key for event in told if event.kind is Kind.DEVICES_RENEWED for key in event.facts["device_keys"]]
    lapsed = [key for event in told if event.kind is Kind.DEVICES_LAPSED for key in event.facts["device_keys"]]
    assert renewed == ["thermo1"]
    assert lapsed == ["thermo2"]
