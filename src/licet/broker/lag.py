"""How far counting is behind what the streams hold: measured, shown, and said in the log when it grows."""

import logging
from collections.abc import Callable
from typing import NamedTuple

from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from licet.broker.streams import COUNTED
from licet.postgres import usage
from licet.postgres.books import Books

# A lag of so many seconds is said, and again whenever it has doubled.
LATE_SECONDS = 30.0

log = logging.getLogger(__name__)


class Lag(NamedTuple):
    """How much of a stream is not counted yet, and for how many seconds the oldest of it has lain there."""

    messages: int
    seconds: float


class Lags:
    """The lag of each stream, as it was last measured."""

    def __init__(self, books: Books, real_clock: Callable[[], float]) -> None:
        self.lag: dict[str, Lag] = {}
        self._books = books
        self._real_clock = real_clock  # messages bear the time of the broker, which is the real one
        self._say_at = dict.fromkeys(COUNTED, LATE_SECONDS)
        self._said_lost: dict[str, int] = {}

    async def measure(self, jetstream: JetStreamContext) -> None:
        """Look at every stream, the books first: what comes in between is lag, and not the other way round."""
        behind = await usage.behind(self._books)
        for stream in COUNTED:
            claimed_to, uncounted = behind.get(stream, (0, None))
            counted_to = claimed_to if uncounted is None else uncounted - 1
            last = (await jetstream.stream_info(stream)).state.last_seq
            if last < claimed_to:
                self._lost(stream, last, claimed_to)
            seconds = 0.0
            if counted_to < last:
                seconds = await self._seconds(stream, counted_to + 1, jetstream)
            self.lag[stream] = Lag(max(0, last - counted_to), seconds)
            self._say(stream)

    async def _seconds(self, stream: str, first: int, jetstream: JetStreamContext) -> float:
        try:
            oldest = await jetstream.get_msg(stream, seq=first, subject=">", next=True)
        except NotFoundError:  # all of it is gone; there are only numbers to pass over
            return 0.0
        return 0.0 if oldest.time is None else max(0.0, self._real_clock() - oldest.time.timestamp())

    def _say(self, stream: str) -> None:
        lag = self.lag[stream]
        if lag.seconds < LATE_SECONDS:
            if self._say_at[stream] > LATE_SECONDS:
                log.warning("Counting has caught up with %s.", stream)
            self._say_at[stream] = LATE_SECONDS
        elif lag.seconds >= self._say_at[stream]:
            log.warning(
                "Counting is %.0f seconds behind: %d messages of %s are not counted yet.",
                lag.seconds,
                lag.messages,
                stream,
            )
            self._say_at[stream] = 2 * lag.seconds

    def _lost(self, stream: str, last: int, claimed_to: int) -> None:
        """A stream never forgets its last number by itself: it was made anew, or its disk lost its end."""
        if self._said_lost.get(stream) != claimed_to:
            log.error(
                "%s ends at %d though it was counted to %d: it was made anew, or its end was lost. Nothing of it is"
                " counted up to that number. If it was made anew, set claimed_sequence in message_streams to 0.",
                stream,
                last,
                claimed_to,
            )
        self._said_lost[stream] = claimed_to
