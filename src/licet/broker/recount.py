"""Recount: what a day came to, counted again from the streams alone, to be held against the books.

It goes as far back as the messages are stored. Use that was reported from outside never was in a stream.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import nats.errors
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from licet.broker.heads import Heads, ReadingError, heads_from
from licet.broker.reader import MOST
from licet.broker.server import LICET
from licet.broker.streams import COUNTED, UPLINK
from licet.broker.tally import Sums
from licet.broker.wire import connected
from licet.postgres.usage import Claim, CountedOn
from licet.shifts import REAL, Shifts

Recounted = dict[tuple[str, str], tuple[int, int]]

# No calendar is further from UTC than this.
_ASTRAY = timedelta(hours=15)


async def recount_from(
    urls: Sequence[str], password: str, on: date, counted: CountedOn, shifts: Shifts = REAL
) -> Recounted:
    """The same, from servers that there is no connection to yet."""
    try:
        async with (
            connected(urls, LICET, password) as server,
            heads_from(urls, LICET, password, server.jetstream(), shifts) as heads,
        ):
            return await recount(on, counted, server.jetstream(), heads, shifts)
    except (nats.errors.Error, OSError) as away:
        raise ReadingError(f"the broker cannot be read: {away!r}") from away


async def recount(
    on: date, counted: CountedOn, jetstream: JetStreamContext, heads: Heads, shifts: Shifts = REAL
) -> Recounted:
    """Product key and device key → messages up and down, of all that was counted at that instant.

    ``counted`` says of which products, in which calendars, and what of each stream was counted.
    """
    midnight = datetime.combine(on, time(), UTC)
    begins, ends = shifts.begins(midnight - _ASTRAY), shifts.ends(midnight + timedelta(days=1) + _ASTRAY)
    up: Counter[tuple[str, str]] = Counter()
    down: Counter[tuple[str, str]] = Counter()
    for stream in COUNTED:
        sums = Sums(only_unacknowledged=stream == UPLINK)
        first, last = await _first_since(jetstream, stream, begins), await _first_since(jetstream, stream, ends) - 1
        last = min(last, counted.claimed_to.get(stream, 0))
        for run in _counted_runs(stream, first, last, counted.uncounted):
            async for found in heads.between(*run):
                sums.add(found)
        for tally in sums.tallies():
            if (zone := counted.time_zones.get(tally.product_key)) and _day(tally.slot, zone) == on:
                up[tally[:2]] += tally.up
                down[tally[:2]] += tally.down
    return {names: (up[names], down[names]) for names in up if up[names] or down[names]}


def _counted_runs(stream: str, first: int, last: int, uncounted: Sequence[Claim]) -> Iterator[Claim]:
    """What lies between them without what is not counted, in runs that are not too long."""
    for claim in sorted(claim for claim in uncounted if claim.stream == stream):
        yield from _counted_runs(stream, first, min(last, claim.first - 1), ())
        first = max(first, claim.last + 1)
    for begin in range(first, last + 1, MOST):
        yield Claim(stream, begin, min(begin + MOST - 1, last))


async def _first_since(jetstream: JetStreamContext, stream: str, begins: datetime) -> int:
    """The first message from that instant on; messages lie in the order in which they came."""
    state = (await jetstream.stream_info(stream)).state
    low, high = state.first_seq, state.last_seq + 1
    while low < high:
        middle = (low + high) // 2
        try:
            found = await jetstream.get_msg(stream, seq=middle, subject=">", next=True)
        except NotFoundError:
            high = middle
            continue
        assert found.time is not None
        assert found.seq is not None
        if found.time < begins:
            low = found.seq + 1
        else:
            high = middle
    return low


@cache
def _day(slot: int, zone: str) -> date:
    return datetime.fromtimestamp(slot * 900, ZoneInfo(zone)).date()


def differences(counted: Mapping[tuple[str, str], tuple[int, int]], recounted: Recounted) -> list[dict[str, object]]:
    """Every device of which the books and the streams do not say the same."""
    nothing = (0, 0)
    return [
        {
            "product_key": names[0],
            "device_key": names[1],
            "books": {"up": books[0], "down": books[1]},
            "streams": {"up": streams[0], "down": streams[1]},
            "difference": sum(streams) - sum(books),
        }
        for names in sorted(counted.keys() | recounted.keys())
        if (books := counted.get(names, nothing)) != (streams := recounted.get(names, nothing))
    ]
