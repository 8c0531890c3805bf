"""Notices of what is coming (D6), given once, whoever sweeps."""

import asyncio

from tests.verbs.conftest import DAY, NOON, Trade

from licet.events import Event, Kind
from licet.postgres import accounts, devices, events
from licet.sweep import sweep


async def told(trade: Trade, kind: Kind) -> list[Event]:
    return [
        event for event in await events.page(trade.books, trade.account_id, after=None, limit=100) if event.kind is kind
    ]


async def test_near_expiry_is_told_30_7_and_1_days_before(trade: Trade) -> None:
    """D6: every day is swept, some twice and at once; each device is told of once per notice."""
    await trade.credited(10, await trade.package("P60D"))
    await trade.imported("thermo1", "thermo2")
    await trade.knocks("thermo1")
    await trade.knocks("thermo2", now=NOON + DAY)
    for day in range(60):
        await asyncio.gather(*(sweep(trade.books, now=NOON + day * DAY) for _ in range(1 + day % 3)))
    given = [
        (event.at, event.facts["days"], event.facts["count"]) for event in await told(trade, Kind.DEVICES_NEAR_EXPIRY)
    ]
    expected = [(NOON + (60 - days + n) * DAY, days, 1) for days in (30, 7, 1) for n in (0, 1)]
    assert sorted(given) == sorted(each for each in expected if each[0] < NOON + 60 * DAY)


async def test_near_expiry_is_counted_and_listed(trade: Trade) -> None:
    """D6: 0 to 30 days left, soonest first."""
    await trade.credited(10, await trade.package("P60D"))
    await trade.imported("thermo1", "thermo2", "thermo3")
    await trade.knocks("thermo2")
    await trade.knocks("thermo1", now=NOON + DAY)
    await trade.knocks("thermo3", now=NOON + 20 * DAY)
    now = NOON + 31 * DAY
    assert (await accounts.codes(trade.books, trade.account_id, now=now)).near_expiry == 2
    near = await devices.by_expiry(
        trade.books, trade.account_id, expires_from=now, expires_to=now + 30 * DAY, limit=10, now=now
    )
    assert [device.device_key for device in near] == ["thermo2", "thermo1"]


async def test_codes_that_will_not_cover_the_renewals_ahead_are_told(trade: Trade) -> None:
    """D6: what is needed in the next 30 and 90 days, against what is there."""
    await trade.credited(3, await trade.package("P60D"))
    await trade.imported("thermo1", "thermo2")
    await trade.knocks("thermo1", "thermo2")
    await sweep(trade.books, now=NOON)
    (event,) = await told(trade, Kind.CODES_WILL_RUN_OUT)
    assert event.facts == {"days": 90, "needed": 2, "available": 1}
    await sweep(trade.books, now=NOON + DAY)
    assert len(await told(trade, Kind.CODES_WILL_RUN_OUT)) == 1, "a week passes before it is told again"
