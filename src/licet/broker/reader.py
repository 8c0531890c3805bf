"""The reader: what devices said and were told is counted, from the streams in which it was acknowledged.

A message at QoS 1 or 2 is acknowledged when it lies in the server's own stream ``$MQTT_msgs``, and is counted from
there: once each, for ever, whatever is killed in between. A message at QoS 0 is counted if it reached the stream
UPLINK, where copies of the others lie too and are passed over.

1. See how far the stream goes, and claim the next run of it in the books.
2. Read the heads of that run, in whole chunks; tally them.
3. Count the tallies and give up the claim, in one transaction.

All licet processes read, on several lanes each; they share the work by their claims. Whatever goes wrong before the
last step leaves the claim as it was: the lane comes back to it, or after half a minute somebody else does.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import nats.errors
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from licet.broker.heads import Heads, ReadingError, heads_from
from licet.broker.lag import Lag, Lags
from licet.broker.server import LICET
from licet.broker.streams import COUNTED, UPLINK
from licet.broker.tally import Sums
from licet.broker.wire import connected, either, pause
from licet.meter import claim, fold, meter
from licet.postgres.books import Books
from licet.postgres.counting import Known
from licet.postgres.usage import Claim
from licet.refusals import Refused
from licet.shifts import REAL, Shifts

# So much that a device's messages come together; with fewer at a time each costs more.
MOST = 200_000
LANES = 2

PAUSE_SECONDS = 0.25
FOLD_SECONDS = 1.0
# Folding takes at most this part of the time: one in so many and one.
FOLD_RESTS = 9
MEASURE_SECONDS = 2.0
# Somebody else's claim may have been left behind: look now and then, though nothing new has come.
LOOK_AGAIN_SECONDS = 5.0
# After a fault of our own: what it was about is there the next time, too.
FAULT_SECONDS = 5.0

AWAY = (Refused, ReadingError, nats.errors.Error, OSError, TimeoutError)

log = logging.getLogger(__name__)


class Reader:
    """Counts what the streams hold, for as long as licet runs, on connections of its own."""

    def __init__(
        self,
        books: Books,
        clock: Callable[[], datetime],
        *,
        urls: Sequence[str],
        password: str,
        most: int = MOST,
        lanes: int = LANES,
        real_clock: Callable[[], float] = time.time,
        shifts: Shifts = REAL,
    ) -> None:
        self._books = books
        self._clock = clock
        self._urls = urls
        self._password = password
        self._most = most
        self._lanes = lanes
        self._shifts = shifts
        self._devices = Known()
        self._lags = Lags(books, real_clock)
        self._name = secrets.token_hex(6)
        self._known = {stream: _Known() for stream in COUNTED}

    @property
    def lag(self) -> dict[str, Lag]:
        """Of each stream, as it was last measured."""
        return self._lags.lag

    async def run(self, stop: asyncio.Event) -> None:
        """Count until ``stop``. What is under way by then is finished."""
        folding = asyncio.create_task(_repeated("folding", partial(self._fold, stop), FOLD_SECONDS, stop))
        while not stop.is_set():
            with suppress(nats.errors.Error, OSError, TimeoutError):  # that the broker is away, the door says already
                await self._read(stop)
            await pause(PAUSE_SECONDS, stop)
        await folding

    async def _read(self, stop: asyncio.Event) -> None:
        lost, over = asyncio.Event(), asyncio.Event()

        async def closed() -> None:
            lost.set()

        async with connected(self._urls, LICET, self._password, closed) as server:
            jetstream = server.jetstream()

            async def measure() -> None:
                await self._lags.measure(jetstream)

            work = [_repeated("lag", measure, MEASURE_SECONDS, over)]
            for stream in COUNTED:
                for number in range(self._lanes):
                    lane = _Lane(stream, number, f"{self._name}-{number}", jetstream, over)
                    work.append(self._keep(lane))
            tasks = [asyncio.create_task(each) for each in work]
            try:
                await either(stop.wait(), lost.wait())
            finally:
                over.set()
                await asyncio.gather(*tasks)

    async def _keep(self, lane: "_Lane") -> None:
        async def read_on() -> None:
            async with heads_from(self._urls, LICET, self._password, lane.jetstream, self._shifts) as heads:
                while not lane.over.is_set():
                    if not await self._count_some(lane, heads):
                        await pause(PAUSE_SECONDS, lane.over)

        await _repeated(f"lane {lane.number} of {lane.stream}", read_on, PAUSE_SECONDS, lane.over)

    async def _count_some(self, lane: "_Lane", heads: Heads) -> bool:
        """Claim, read and count one run of the stream. False when there is nothing to count."""
        known = self._known[lane.stream]
        if lane.number > 0 and not known.much:
            return False
        state = (await lane.jetstream.stream_info(lane.stream)).state
        if state.last_seq == known.claimed_to and time.monotonic() < known.look_again_at:
            return False
        known.claimed_to = None
        claimed = await claim(
            self._books,
            lane.stream,
            last_sequence=state.last_seq,
            most=self._most,
            claimed_by=lane.name,
            now=self._clock(),
        )
        known.much = claimed is not None and claimed.last < state.last_seq
        if claimed is None:
            known.claimed_to, known.look_again_at = state.last_seq, time.monotonic() + LOOK_AGAIN_SECONDS
            return False
        await self._count(claimed, heads, first_held=state.first_seq)
        return True

    async def _count(self, claimed: Claim, heads: Heads, *, first_held: int) -> None:
        sums = Sums(only_unacknowledged=claimed.stream == UPLINK)
        if claimed.last >= first_held:
            async for found in heads.between(claimed.stream, max(claimed.first, first_held), claimed.last):
                sums.add(found)
        if not await meter(self._books, claimed, sums.tallies(), now=self._clock(), known=self._devices):
            log.info("Somebody else has counted %s %d to %d already.", claimed.stream, claimed.first, claimed.last)

    async def _fold(self, stop: asyncio.Event) -> None:
        began = time.monotonic()
        folded = await fold(self._books, now=self._clock())
        if folded.warned or folded.cut_off:
            log.info("Folded: %d warnings, %d devices cut off.", folded.warned, folded.cut_off)
        # When there is much to fold, more at a time costs less.
        await pause(FOLD_RESTS * (time.monotonic() - began), stop)


@dataclass(slots=True)
class _Known:
    """What this process knows of a stream: how far it is claimed, for some seconds, and whether there is much to do."""

    claimed_to: int | None = None
    look_again_at: float = 0.0
    much: bool = False


@dataclass(frozen=True, slots=True)
class _Lane:
    stream: str
    number: int
    name: str
    jetstream: JetStreamContext
    over: asyncio.Event = field(compare=False)


async def _repeated(what: str, work: Callable[[], Awaitable[None]], seconds: float, over: asyncio.Event) -> None:
    """Do it again and again until it is ``over``. That somebody is away is said once; a fault leaves others alone."""
    reached = True
    while not over.is_set():
        wait = seconds
        try:
            await work()
            reached = True
        except NotFoundError:  # on the first day we may be here before the streams are
            if reached:
                log.info("Metering waits for its stream (%s).", what)
            reached = False
        except AWAY as away:
            if reached and not over.is_set():
                log.warning("Metering waits (%s): %r", what, away)
            reached = False
        except Exception:
            log.exception("Metering stumbled (%s); it goes on.", what)
            wait = FAULT_SECONDS
        await pause(wait, over)
