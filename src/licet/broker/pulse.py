"""Notices that this process stood still: it was stopped, swapped out, or its machine was moved.

Whatever was sent to it meanwhile looks as if it had just been said, and is not.
"""

import asyncio
import contextlib
import time

BEAT_SECONDS = 0.25

# A beat that comes so much too late is more than a busy machine.
STOOD_STILL_SECONDS = 1.0

# How long it may take to hear all that was said meanwhile.
DOUBT_SECONDS = 10.0


class Pulse:
    """A heartbeat that is missed when it stops."""

    def __init__(self) -> None:
        self._doubt_until = 0.0
        self._beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Beat, if it does not already."""
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        """Beat no more."""
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating

    @property
    def in_doubt(self) -> bool:
        """Whether what is heard now may have been said long ago."""
        return time.monotonic() < self._doubt_until

    async def _beat(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(BEAT_SECONDS)
            if time.monotonic() - began > BEAT_SECONDS + STOOD_STILL_SECONDS:
                self._doubt_until = time.monotonic() + DOUBT_SECONDS
