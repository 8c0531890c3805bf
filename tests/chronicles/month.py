"""The month in stories: it closes, its bills are settled by top-ups and payments, and what it is made of."""

import asyncio
import calendar
from datetime import date, timedelta
from itertools import accumulate

from chronicles.stage import Stage, follows, happens, instant
from chronicles.stage import each as each_of
from chronicles.what_happens import FREE

from licet.accounts import PLATFORM
from licet.allowances import Usage
from licet.close import close, statement, statements_of
from licet.enrol import change_account
from licet.excess import Origin
from licet.postgres import ledger, statements
from licet.statements import Charge, Statement
from licet.topup import pay, top_up

_MONTHS = [name.lower() for name in calendar.month_name]
_MONTH = "|".join(_MONTHS[1:])
_KIND = "messages|OTA"
_MANY = 1000


def _month(on: Stage, name: str) -> date:
    """The latest month of that name that has begun, in any calendar."""
    today = (on.now + timedelta(hours=14)).date()
    first = today.replace(day=1, month=_MONTHS.index(name))
    return first if first <= today else first.replace(year=first.year - 1)


def _kind(name: str) -> Usage:
    return Usage(name.lower())


@happens(rf"({_MONTH}) closes(?: for (\w+))?(?: (\d+) times at once)?")
async def _(on: Stage, name: str, account: str, times: str) -> None:
    on.month = _month(on, name)
    on.look_at(account=account or "")
    account_id = on.account_ids[account] if account else None
    asked = [close(on.books, through=on.month, account_id=account_id, now=on.now) for _ in range(int(times or 1))]
    on.closed = sum(closing.statements for closing in await asyncio.gather(*asked))


@happens(r"all months close that are over")
async def _(on: Stage) -> None:
    on.closed = (await close(on.books, now=on.now)).statements


@happens(rf"(\w+) (tops up|is given) (\d+) ({_KIND})(?: under (\S+?))?(?:, good until (.+))?")
async def _(on: Stage, account: str, how: str, quantity: str, kind: str, reference: str, until: str) -> None:
    on.look_at(account=account)
    on.orders += 1
    await top_up(
        on.books,
        account_id=on.account_ids[account],
        usage=_kind(kind),
        quantity=int(quantity),
        origin=Origin.GIFT if how == "is given" else Origin.PURCHASE,
        reference=reference or f"order {on.orders}",
        expires_at=instant(until) if until else None,
        by=PLATFORM,
        now=on.now,
    )


@happens(rf"(\w+) pays (\d+) ({_KIND}) of ({_MONTH}) by (\S+)")
async def _(on: Stage, account: str, quantity: str, kind: str, name: str, reference: str) -> None:
    on.look_at(account=account)
    on.month = _month(on, name)
    await pay(
        on.books,
        account_id=on.account_ids[account],
        month=on.month,
        usage=_kind(kind),
        quantity=int(quantity),
        reference=reference,
        by=PLATFORM,
        now=on.now,
    )


@happens(r"(\w+) moves to (\w+/\w+)")
async def _(on: Stage, account: str, time_zone: str) -> None:
    on.look_at(account=account)
    by, account_id = on.alice(account), on.account_ids[account]
    await change_account(on.books, account_id, time_zone=time_zone, free=FREE, by=by, now=on.now)


@happens(rf"({_MONTH}) of (\w+) is looked at")
async def _(on: Stage, name: str, account: str) -> None:
    on.look_at(account=account)
    on.month = _month(on, name)


async def _statement(on: Stage, name: str) -> Statement:
    on.month = _month(on, name) if name else on.month
    found = await statement(on.books, on.account_ids[on.account], on.month, now=on.now)
    assert found is not None, f"there is no statement of {on.month:%Y-%m}"
    return found


@follows(rf"(?:({_MONTH}) )?({_KIND}): excess (\d+), settled (\d+), owed (\d+)")
async def _(on: Stage, name: str, kind: str, excess: str, settled: str, owed: str) -> None:
    charge = (await _statement(on, name)).charges[_kind(kind)]
    assert (charge, charge.owed) == (Charge(int(excess), int(settled)), int(owed)), charge


@follows(rf"(?:({_MONTH}) )?((?:un)?billed|(?:un)?settled)")
async def _(on: Stage, name: str, status: str) -> None:
    found = await _statement(on, name)
    assert status in (found.billing, found.settlement)


@follows(rf"(?:({_MONTH}) )?nothing owed")
async def _(on: Stage, name: str) -> None:
    charges = (await _statement(on, name)).charges
    assert not any(charge.owed for charge in charges.values()), charges


@follows(rf"(\d+) ({_KIND}) from ({_MONTH})")
async def _(on: Stage, excess: str, kind: str, name: str) -> None:
    """A line of the statement that is looked at."""
    lines = {(line.usage, line.from_month): line.excess for line in (await _statement(on, "")).lines}
    assert lines.get((_kind(kind), _month(on, name))) == int(excess), lines


@follows(r"no statement")
async def _(on: Stage) -> None:
    assert await statement(on.books, on.account_ids[on.account], on.month, now=on.now) is None


@follows(r"(\d+) statements? closed")
async def _(on: Stage, number: str) -> None:
    assert on.closed == int(number)


@follows(rf"left (\d+)(?: ({_KIND}))?")
async def _(on: Stage, number: str, kind: str) -> None:
    usage = _kind(kind or "messages")
    found = await ledger.balances(on.books, [on.account_ids[on.account]])
    assert found.get((on.account_ids[on.account], usage), 0) == int(number), found


@follows(r"(?:(OTA) )?ledger ([-+\d, ]+)")
async def _(on: Stage, kind: str, quantities: str) -> None:
    """Its latest rows."""
    said = [int(quantity) for quantity in quantities.split(", ")]
    usage = _kind(kind or "messages")
    rows = await ledger.page(on.books, on.account_ids[on.account], usage, before=None, limit=len(said))
    assert [row.quantity for row in reversed(rows)] == said


@follows(rf"made of (\w+ \d+(?:(?:, | and )\w+ \d+)*)(?: ({_KIND}))?")
async def _(on: Stage, parts: str, kind: str) -> None:
    found = await _parts(on, _kind(kind or "messages"), by="device")
    assert [f"{part.device_key} {part.excess}" for part in found] == each_of(parts), found


@follows(r"(\w+) used (\d+) of (\d+) on (\S+), (\d+) of them on this bill")
async def _(on: Stage, device: str, used: str, allowance: str, day: str, excess: str) -> None:
    key = on.product_keys[on.of_product[device]]
    found = await _parts(on, Usage.MESSAGES, by="day", product_key=key, device_key=device)
    told = {(part.on.isoformat(), part.used, part.allowance, part.excess) for part in found}
    assert (day, int(used), int(allowance), int(excess)) in told, told


async def _parts(on: Stage, usage: Usage, **asked: str) -> list[statements.Part]:
    account_id = on.account_ids[on.account]
    return await statements.parts(on.books, account_id, on.month, usage, limit=_MANY, **asked)  # type: ignore[arg-type]


async def adds_up(on: Stage) -> None:
    """Excess = settled + owed = the lines = the parts, whichever way; a balance = its rows = what is left."""
    for account_id in on.account_ids.values():
        left = await ledger.remaining(on.books, [account_id])
        for usage in Usage:
            rows = (await ledger.page(on.books, account_id, usage, before=None, limit=_MANY))[::-1]
            assert [row.balance for row in rows] == list(accumulate(row.quantity for row in rows))
            topups = left.get((account_id, usage), [])
            assert (rows[-1].balance if rows else 0) == sum(topup.left for topup in topups)
        for closed in await statements_of(on.books, account_id, limit=_MANY):
            for usage, charge in closed.charges.items():
                assert 0 <= charge.settled <= charge.excess
                assert charge.excess == sum(line.excess for line in closed.lines if line.usage is usage)
                for by in ("product", "device", "day"):
                    parts = await statements.parts(on.books, account_id, closed.month, usage, by=by, limit=_MANY)
                    assert charge.excess == sum(part.excess for part in parts)
