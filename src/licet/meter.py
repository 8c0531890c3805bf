"""Meter: messages that went through are counted, each once, for ever (rules E1 to E4).

The broker numbers the messages it stores. A reader claims a run of numbers, tallies what lies there, and in *one*
transaction the claim goes and its tallies are counted: there is no instant at which a message was counted and its claim
is still open, or the other way round. So readers may die, stall and be doubled; whoever comes second finds no claim.
Nothing is remembered for a limited time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from licet.accounts import Mode
from licet.allowances import WARNINGS, warnings_crossed
from licet.close import draw_excess
from licet.events import Happening, Kind
from licet.late import hold_late
from licet.postgres import account_days, events, statements, usage
from licet.postgres.books import Books
from licet.postgres.counting import Known, count
from licet.postgres.turns import Work, take_turn
from licet.postgres.usage import Claim, Crossing, Tally

_BITE = 500_000  # deltas folded in one transaction
_BITES = 4  # before somebody else may have a turn
_PATIENCE = timedelta(seconds=30)  # after which a claim is taken over from a reader that has not counted it


@dataclass(frozen=True, slots=True)
class Folded:
    """What folding brought: how many warnings were told of devices and of accounts, how many devices were cut off."""

    warned: int = 0
    cut_off: int = 0
    accounts_warned: int = 0


async def claim(
    books: Books, stream: str, *, last_sequence: int, most: int, claimed_by: str, now: datetime
) -> Claim | None:
    """Claim up to ``most`` messages that the stream holds, the oldest first; None when all are claimed.

    A claim whose reader has not been heard of for half a minute goes to the next one who asks; so does one that this
    reader itself has left from before it was restarted. ``claimed_by`` names a reader; two never share a name.
    """
    async with books.transaction() as books:
        stale = now - _PATIENCE
        if (left := await usage.take_over(books, stream, stale=stale, claimed_by=claimed_by, now=now)) is not None:
            return left
        await usage.know_stream(books, stream)
        claimed_sequence = await usage.lock_stream(books, stream)
        if claimed_sequence >= last_sequence:
            return None
        claimed = Claim(stream, claimed_sequence + 1, min(claimed_sequence + most, last_sequence))
        await usage.insert_claim(books, claimed, claimed_by=claimed_by, now=now)
        await usage.set_claimed_sequence(books, stream, claimed.last)
        return claimed


async def meter(
    books: Books, claimed: Claim, tallies: Sequence[Tally], *, now: datetime, known: Known | None = None
) -> bool:
    """Count what lay in a claim. False when somebody else has counted it: then nothing was written.

    1. The claim goes: one row, or somebody was first.
    2. Hold the accounts that have a month closed about now, if something of such a month is among it.
    3. Tallies become deltas of devices and of days of their accounts' calendars, and bytes stored of products.
    4. What no device can be named for goes to quarantine, never silently away.
    """
    async with books.transaction() as books:
        if not await usage.finish_claim(books, claimed):
            return False
        late = await hold_late(books, ((tally.product_key, tally.slot) for tally in tallies), now=now)
        if tallies and (strangers := await count(books, tallies, known)):
            source = f"{claimed.stream} {claimed.first}-{claimed.last}"
            kept = [(source, "unknown_device", stranger._asdict()) for stranger in strangers]
            await usage.quarantine(books, kept, now=now)
        if late:
            await statements.note_late(books, late)
        return True


async def fold(books: Books, *, now: datetime) -> Folded:
    """Fold what was counted into the day's counters; warn, and cut off where the account blocks (rule E4).

    1. One folds at a time; whoever comes second leaves it to the first.
    2. There is a partition for every month that deltas wait for.
    3. Fold in bites; each says which devices went past 70, 90 or 100 % of that day's allowance. Tell each once.
    4. Of accounts that block, what is beyond the allowance is taken from their top-ups as it happens; when these are
       used up, the devices are cut off, if that day is not over.
    5. Tell of each account, once a day, that all its devices together went past the same.
    6. Give back the room that the deltas took.
    """
    warned = cut = accounts = bites = 0
    for _ in range(_BITES):
        async with books.transaction() as bound:
            if not await take_turn(bound, Work.FOLDING) or not (days := await usage.days_to_fold(bound)):
                break
            await usage.make_partitions(bound, days)
            crossed = await usage.fold(bound, days, most=_BITE)
            warnings = [
                (each, percent)
                for each in crossed
                for percent in warnings_crossed(each.before, each.used, each.allowance)
            ]
            await events.tell(bound, _warnings(warnings), now=now)
            over = await _uncovered(bound, [each for each in crossed if each.mode is Mode.BLOCK], now=now)
            newly = await usage.cut_off(bound, over) if over else set()
            await events.tell(bound, _cut_offs([each for each in over if each.device_id in newly]), now=now)
            accounts += await _warn_accounts(bound, days, now=now)
            warned, cut, bites = warned + len(warnings), cut + len(newly), bites + 1
    if bites:
        await usage.clear_deltas(books)
    return Folded(warned, cut, accounts)


async def _uncovered(books: Books, blocked: Sequence[Crossing], *, now: datetime) -> list[Crossing]:
    """Of devices whose accounts block: those that are to be cut off now, after their accounts' top-ups were drawn."""

    def whose(each: Crossing) -> str:
        return each.account_id

    uncovered = []
    for account_id, those in groupby(sorted(blocked, key=whose), whose):
        today = [each for each in those if now < each.ends_at and each.used >= each.allowance]
        if today and not await draw_excess(books, account_id, sum(each.excess for each in today), now=now):
            uncovered += today
    return uncovered


async def _warn_accounts(books: Books, days: Sequence[date], *, now: datetime) -> int:
    """Of what their devices are allowed together; what they are is looked at only when that may matter."""
    happenings, noted = [], []
    for each in await account_days.near(books, days, now=now):
        percents = [percent for percent in WARNINGS if each.reached(percent) and percent > each.told_percent]
        noted.append(each._replace(told_percent=max(percents, default=each.told_percent)))
        for percent in percents:
            facts = {"usage": "messages", "on": each.used_on.isoformat(), "percent": percent}
            happenings.append(Happening(_warning(percent), each.account_id, facts=facts))
    if noted:
        await account_days.note(books, noted)
        await events.tell(books, happenings, now=now)
    return len(happenings)


def _warning(percent: int) -> Kind:
    return Kind.ALLOWANCE_NEARLY_USED if percent < 100 else Kind.ALLOWANCE_USED_UP


def _warnings(crossed: Sequence[tuple[Crossing, int]]) -> list[Happening]:
    def occasion(warning: tuple[Crossing, int]) -> tuple[str, str, str, int]:
        each, percent = warning
        return each.account_id, each.product_key, each.used_on.isoformat(), percent

    return [
        Happening(
            _warning(percent),
            account_id,
            product_key,
            {"usage": "messages", "on": on, "percent": percent, "device_keys": [each.device_key for each, _ in those]},
        )
        for (account_id, product_key, on, percent), those in groupby(sorted(crossed, key=occasion), occasion)
    ]


def _cut_offs(cut: Sequence[Crossing]) -> list[Happening]:
    def occasion(each: Crossing) -> tuple[str, str, datetime]:
        return each.account_id, each.product_key, each.ends_at

    return [
        Happening(
            Kind.DEVICES_CUT_OFF,
            account_id,
            product_key,
            {"until": until, "device_keys": [each.device_key for each in those]},
        )
        for (account_id, product_key, until), those in groupby(sorted(cut, key=occasion), occasion)
    ]
