"""What time it is for a process. Everything below the doors is told; the doors ask here."""

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Call it for the present instant, in UTC. Started at an instant, it goes on from there as time really passes.

    ``began``: what the machine's own clock said at that instant. Processes that are told the same two agree on the time
    to the microsecond.
    """

    def __init__(self, start: datetime | None = None, began: float | None = None) -> None:
        self._start = start
        self.began = time.monotonic() if began is None else began

    def __call__(self) -> datetime:
        if self._start is None:
            return datetime.now(UTC)
        return self._start + timedelta(seconds=time.monotonic() - self.began)


def instant(text: str) -> datetime:
    """Read an RFC 3339 instant. Raises ValueError for anything else, and for one without its zone."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("an instant needs its zone, like 2026-02-01T08:00:00Z")
    return found.astimezone(UTC)
