"""Messages in stories: what devices use, what gateways report of it, and what of it an allowance covers."""

import asyncio
from datetime import date
from zoneinfo import ZoneInfo

from chronicles.stage import Stage, follows, happens, instant
from chronicles.stage import each as each_of

from licet.accounts import PLATFORM
from licet.allowances import Direction, Usage
from licet.events import Kind
from licet.late import hold_late
from licet.meter import fold
from licet.postgres import events, statements, usage
from licet.postgres.counting import count
from licet.postgres.usage import Tally
from licet.report import Report, report

_BERLIN = ZoneInfo("Europe/Berlin")  # where every account of a story is at home


@happens(r"(.+?) uses? (\d+) messages?(?: at (.+))?")
async def _(on: Stage, names: str, messages: str, at: str) -> None:
    """They were read from the broker's stream."""
    on.look_at(device=each_of(names)[0])
    slot = int((instant(at) if at else on.now).timestamp()) // 900
    key = on.product_keys[on.product]
    async with on.books.transaction() as bound:
        late = await hold_late(bound, [(key, slot)], now=on.now)
        assert not await count(bound, [Tally(key, name, slot, int(messages), 0, 0) for name in each_of(names)])
        await statements.note_late(bound, late)
    await fold(on.books, now=on.now)


@happens(r"a gateway reports (\d+) messages? of (\w+) as (\w+)(?: (\d+) times at once)?")
async def _(on: Stage, messages: str, device: str, name: str, times: str) -> None:
    key = on.product_keys[on.product]
    told = Report("gateway", name, Usage.MESSAGES, on.now, key, device, Direction.UP, int(messages), {"id": name})
    at_once = [report(on.books, [told], by=PLATFORM, now=on.now) for _ in range(int(times or 1))]
    on.reported = await asyncio.gather(*at_once)
    on.device = device


@follows(r"(?:counted|(known already)|in (quarantine)|(\d+) known already)")
async def _(on: Stage, known: str, doubtful: str, number: str) -> None:
    """However often it was sent at once, it was new once at the most."""
    sent = len(on.reported)
    sums = [sum(part) for part in zip(*((r.accepted, r.duplicates, r.quarantined) for r in on.reported), strict=True)]
    if number:
        assert sums[1] == int(number)
    else:
        assert sums == ([0, sent, 0] if known else [0, sent - 1, 1] if doubtful else [1, sent - 1, 0]), sums


@follows(r"(\d+) covered, (\d+) excess(?: on (\d{4}-\d\d-\d\d))?")
async def _(on: Stage, covered: str, excess: str, day: str) -> None:
    """What the device used on that day of its account's calendar; today, if it is not said."""
    on_date = date.fromisoformat(day) if day else on.now.astimezone(_BERLIN).date()
    found = await usage.whose(on.books, on.product_keys[on.product], on.device)
    assert found is not None
    assert found[1] is not None
    used = await usage.messages_used_by(on.books, [found[1]], first=on_date, last=on_date)
    drawn = (used[0].drawn.covered, used[0].drawn.excess) if used else (0, 0)
    assert drawn == (int(covered), int(excess)), drawn


@follows(r"(account )?warned at (.+)")
async def _(on: Stage, account: str, percents: str) -> None:
    """By what has just happened: the device, or all of the account's together."""
    told = await events.page(on.books, on.account_ids[on.account], after=None, limit=1000)
    kinds = (Kind.ALLOWANCE_NEARLY_USED, Kind.ALLOWANCE_USED_UP)
    now = [event for event in told if event.kind in kinds and event.at == on.now]
    of_what = [e.facts for e in now if (e.product_key is None if account else on.device in e.facts["device_keys"])]
    assert sorted(facts["percent"] for facts in of_what) == [int(percent) for percent in each_of(percents)]
