"""Meter: messages that went through are counted, each once, for ever (rules E1 to E4).

The broker numbers the messages it stores. A reader claims a run of numbers, tallies what lies there, and in *one*
transaction the claim goes and its tallies are counted: there is no instant at which a message was counted and its claim
is still open, or the other way round. So readers may die, stall and be doubled; whoever comes second finds no claim.
Nothing is remembered for a limited time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from licet.accounts import Mode
from licet.events import Happening, Kind
from licet.late import hold_late
from licet.postgres import events, statements, usage
from licet.postgres.books import Books
from licet.postgres.counting import Known, count
from licet.postgres.turns import Work, take_turn
from licet.postgres.usage import Claim, Crossing, Tally

_BITE = 500_000  # deltas folded in one transaction
_BITES = 4  # before somebody else may have a turn
_PATIENCE = timedelta(seconds=30)  # after which a claim is taken over from a reader that has not counted it


@dataclass(frozen=True, slots=True)
class Folded:
    """What folding brought: how many warnings were told, and how many devices were cut off."""

    warned: int = 0
    cut_off: int = 0


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
    3. Fold in bites; each says which devices went past 70, 90 or 100 % of that day's allowance.
    4. Tell each of these once. A device of an account that blocks is cut off at 100 %, if that day is not over.
    5. Give back the room that the deltas took.
    """
    warned = cut = bites = 0
    for _ in range(_BITES):
        async with books.transaction() as bound:
            if not await take_turn(bound, Work.FOLDING) or not (days := await usage.days_to_fold(bound)):
                break
            await usage.make_partitions(bound, days)
            crossed = await usage.fold(bound, most=_BITE)
            over = [each for each in crossed if each.percent == 100 and each.mode is Mode.BLOCK and now < each.ends_at]
            newly = await usage.cut_off(bound, over) if over else set()
            await events.tell(bound, _warnings(crossed), now=now)
            await events.tell(bound, _cut_offs([each for each in over if each.device_id in newly]), now=now)
            warned, cut, bites = warned + len(crossed), cut + len(newly), bites + 1
    if bites:
        await usage.clear_deltas(books)
    return Folded(warned, cut)


def _warnings(crossed: Sequence[Crossing]) -> list[Happening]:
    def occasion(each: Crossing) -> tuple[str, str, str, int]:
        return each.account_id, each.product_key, each.used_on.isoformat(), each.percent

    return [
        Happening(
            Kind.ALLOWANCE_NEARLY_USED if percent < 100 else Kind.ALLOWANCE_USED_UP,
            account_id,
            product_key,
            {"usage": "messages", "on": on, "percent": percent, "device_keys": [each.device_key for each in those]},
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
