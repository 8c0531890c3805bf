"""Report: use from outside, for gateways that are not ours; each report counts once, for ever (rules E1 to E4).

Whoever reports names each report by its source and id, and may send it again as often as they like. A report that is
not about a device of theirs, or that cannot be true, is not counted and not thrown away either: it goes to quarantine.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from licet.accounts import By
from licet.allowances import Direction, Usage
from licet.late import hold_late
from licet.postgres import reports, statements, usage
from licet.postgres.books import Books
from licet.postgres.counting import count
from licet.postgres.reports import Enrolled, Key
from licet.postgres.usage import Tally

_ASTRAY = timedelta(days=1)  # so far may the clock of who reports be from ours


class Doubt(StrEnum):
    """Why a report is not counted, in order of precedence."""

    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_DEVICE = "unknown_device"
    IN_THE_FUTURE = "in_the_future"
    BEFORE_ENROLMENT = "before_enrolment"
    AFTER_DELETION = "after_deletion"


class Report(NamedTuple):
    """What one device used, as somebody outside has seen it. ``usage``: None if it is of no kind we know.

    ``as_sent``: what to keep of it if it is not counted.
    """

    source: str
    id: str
    usage: Usage | None
    at: datetime
    product_key: str
    device_key: str
    direction: Direction
    messages: int
    as_sent: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of so many reports. ``doubts``: of those in quarantine, how many for which reason."""

    accepted: int
    duplicates: int
    quarantined: int
    doubts: dict[Doubt, int] = field(default_factory=dict)


async def report(books: Books, told: Sequence[Report], *, by: By, now: datetime) -> Reported:
    """Count what is reported, each report once.

    1. Which devices are meant? For an account, those of others do not exist.
    2. Remember every report by its source and id. One that was known before changes nothing, whatever else it says.
    3. Count what the new ones say was used; what is doubtful goes to quarantine, and is remembered as well.
    """
    async with books.transaction() as bound:
        devices = await _devices(bound, told, by)
        first: dict[Key, Report] = {}
        for each in told:
            device = devices.get((each.product_key, each.device_key))
            first.setdefault((device.account_id if device else by.account_id or "", each.source, each.id), each)
        keys = list(first)
        new = [first[keys[place]] for place in sorted(await reports.remember(bound, keys, now=now))]
        used: defaultdict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0])
        doubtful: list[tuple[Doubt, Report]] = []
        for each in new:
            if (doubt := _doubt(each, devices.get((each.product_key, each.device_key)), now)) is not None:
                doubtful.append((doubt, each))
            else:
                slot = int(each.at.timestamp()) // 900
                used[each.product_key, each.device_key, slot][each.direction is Direction.DOWN] += each.messages
        late = await hold_late(bound, ((product_key, slot) for product_key, _, slot in used), now=now)
        if used:
            # Their payload is not stored with us.
            tallies = [Tally(*key, up, down, 0) for key, (up, down) in used.items()]
            strangers = await count(bound, tallies)
            assert not strangers, "devices and products are never removed"
            await reports.note_reported(bound, tallies)
        if late:
            await statements.note_late(bound, late)
        if doubtful:
            kept = [(each.source, doubt.value, each.as_sent) for doubt, each in doubtful]
            await usage.quarantine(bound, kept, now=now)
    doubts = dict(Counter(doubt for doubt, _ in doubtful))
    return Reported(len(new) - len(doubtful), len(told) - len(new), len(doubtful), doubts)


async def _devices(books: Books, told: Sequence[Report], by: By) -> dict[tuple[str, str], Enrolled]:
    named = {(each.product_key, each.device_key) for each in told}
    found = await reports.enrolled(books, sorted(named))
    return {key: each for key, each in found.items() if by.account_id in (None, each.account_id)}


def _doubt(told: Report, device: Enrolled | None, now: datetime) -> Doubt | None:
    if told.usage is not Usage.MESSAGES:
        return Doubt.UNKNOWN_KIND
    if device is None or device.enrolled_at is None:
        return Doubt.UNKNOWN_DEVICE
    if told.at > now + _ASTRAY:
        return Doubt.IN_THE_FUTURE
    if told.at < device.enrolled_at - _ASTRAY:
        return Doubt.BEFORE_ENROLMENT
    if device.deleted_at is not None and told.at > device.deleted_at + _ASTRAY:
        return Doubt.AFTER_DELETION
    return None
