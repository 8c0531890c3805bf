"""OTA in stories: how an upgrade begins and ends, and what it comes to."""

import asyncio
import calendar

from chronicles.stage import Stage, follows, happens
from chronicles.what_happens import FREE

from licet.accounts import Mode
from licet.enrol import change_account
from licet.firmware import UpgradeState
from licet.ota import complete, fail, reserve
from licet.postgres import ota
from licet.refusals import Refused

MB = 2**20


@happens(r"(\w+) goes over to mode (charge|block)")
async def _(on: Stage, account: str, mode: str) -> None:
    on.look_at(account=account)
    by, account_id = on.alice(account), on.account_ids[account]
    await change_account(on.books, account_id, mode=Mode(mode), free=FREE, by=by, now=on.now)


@happens(r"(\w+) begins an upgrade of (\d+) MB")
async def _(on: Stage, device: str, size: str) -> None:
    on.look_at(device=device)
    key, by = on.product_keys[on.product], on.alice(on.account)
    on.upgrade = await reserve(on.books, key, device, bytes=int(size) * MB, by=by, now=on.now)


@happens(r"(\w+) begins (\d+) upgrades of (\d+) MB at once")
async def _(on: Stage, device: str, times: str, size: str) -> None:
    on.look_at(device=device)
    key, by = on.product_keys[on.product], on.alice(on.account)
    each = [reserve(on.books, key, device, bytes=int(size) * MB, by=by, now=on.now) for _ in range(int(times))]
    begun = await asyncio.gather(*each, return_exceptions=True)
    on.refusals = [no for no in begun if isinstance(no, Refused)]
    (on.upgrade, *_) = [upgrade for upgrade in begun if not isinstance(upgrade, BaseException)]


@happens(r"the upgrade (completes|fails)")
async def _(on: Stage, how: str) -> None:
    assert on.upgrade is not None
    by, size = on.alice(on.account), on.upgrade.bytes
    if how == "completes":
        on.upgrade = await complete(on.books, on.upgrade.id, bytes=size, by=by, now=on.now)
    else:
        on.upgrade = await fail(on.books, on.upgrade.id, by=by, now=on.now)


@follows(r"(offered|reserved|completed|failed)(?:: (\d+) covered, (\d+) excess)?")
async def _(on: Stage, state: str, covered: str, excess: str) -> None:
    assert on.upgrade is not None
    upgrade = await ota.get(on.books, on.upgrade.id, now=on.now)
    assert upgrade is not None
    assert upgrade.state is UpgradeState(state)
    drawn = upgrade.drawn
    assert not covered or (drawn.covered, drawn.excess) == (int(covered), int(excess)), drawn


@follows(r"(\d+) of them refused (\w+)")
async def _(on: Stage, number: str, code: str) -> None:
    assert [no.reason.code for no in on.refusals] == [code] * int(number)


@follows(r"(\w+) OTA: (\d+) covered, (\d+) excess")
async def _(on: Stage, month: str, covered: str, excess: str) -> None:
    """A month of this year's, as it is charged so far."""
    number = [name.lower() for name in calendar.month_name].index(month)
    first = on.now.date().replace(month=number, day=1)
    last = first.replace(day=calendar.monthrange(first.year, number)[1])
    account_id = on.account_ids[on.account]
    found = await ota.ota_used(on.books, account_id, first=first, last=last, now=on.now)
    drawn = (found[0].drawn.covered, found[0].drawn.excess) if found else (0, 0)
    assert drawn == (int(covered), int(excess)), drawn
