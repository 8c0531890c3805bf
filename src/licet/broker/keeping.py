"""Messages whose time is over leave the broker's disks, now and then, for as long as licet runs."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from licet.broker.stored import Stored
from licet.broker.wire import pause
from licet.keep import MOST, keep
from licet.postgres.books import Books
from licet.refusals import Refused

PAUSE_SECONDS = 60.0

log = logging.getLogger(__name__)


class Keeping:
    """Looks what is due. Many may run: one at a time does anything."""

    def __init__(
        self, books: Books, clock: Callable[[], datetime], stored: Stored, *, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._books = books
        self._clock = clock
        self._stored = stored
        self._pause_seconds = pause_seconds

    async def run(self, over: asyncio.Event) -> None:
        """Purge until it is ``over``."""
        while not over.is_set():
            try:
                gone = await keep(self._books, self._stored.purge, now=self._clock())
                if gone:
                    log.info("Messages of %d products have left the disks.", gone)
            except Refused as away:
                log.warning("Messages stay on the disks for now: %s", away.sentence)
                gone = 0
            if gone < MOST:
                await pause(self._pause_seconds, over)
