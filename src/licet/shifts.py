"""Shifts: between the real time and licet's, where it was told to live at another one.

Messages bear the broker's time, which is always the real one. The books say since when licet's clock has gone ahead of
that (or behind), so a message keeps the instant that it had for licet when it came, whatever the time is later.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_NONE = timedelta()
# Clocks that differ by less say the same: those of processes that were started together drift.
_SAME = timedelta(seconds=2)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Shift(NamedTuple):
    """From a real instant on, licet's time is so much ahead. Both in whole seconds: what is counted by the second and
    what is shown to the microsecond falls on the same day."""

    since_at: datetime
    ahead: timedelta


class Shifts:
    """All there were, the oldest first. False, and no more than a look, while licet has lived in the real time only.

    Times forward and back are both in order as long as no shift goes back behind the one before it. Where one does, an
    instant of licet's came more than once, and ``begins`` and ``ends`` lie around all of them.
    """

    def __init__(self, shifts: Sequence[Shift] = ()) -> None:
        self._shifts = tuple(shifts)
        self._sinces = [each.since_at for each in self._shifts]
        self._seconds = [int(each.since_at.timestamp()) for each in self._shifts]
        froms = [Shift(_FIRST, _NONE), *self._shifts]
        self._spans = list(zip(froms, [*self._sinces, _LAST], strict=True))

    def __bool__(self) -> bool:
        return bool(self._shifts)

    def told(self, real: datetime) -> datetime:
        """What licet's time was at a real instant."""
        place = bisect_right(self._sinces, real)
        return real + self._shifts[place - 1].ahead if place else real

    def told_second(self, real: int) -> int:
        """The same of a second since 1970."""
        place = bisect_right(self._seconds, real)
        return real + int(self._shifts[place - 1].ahead.total_seconds()) if place else real

    def begins(self, at: datetime) -> datetime:
        """The real instant before which it was always earlier for licet than this."""
        if not self._shifts:
            return at
        firsts = [(max(since, _less(at, ahead)), end) for (since, ahead), end in self._spans]
        return min(first for first, end in firsts if first < end or end == _LAST)

    def ends(self, at: datetime) -> datetime:
        """The real instant from which on it was never earlier for licet than this."""
        if not self._shifts:
            return at
        lasts = [(min(end, _less(at, ahead)), since) for (since, ahead), end in self._spans]
        return max(last for last, since in lasts if last > since or since == _FIRST)

    def next(self, *, told: datetime, real: datetime) -> Shift | None:
        """The shift that begins with a clock that says so at a real instant; None when it goes as the last one says."""
        ahead = told - real
        before = self._shifts[-1].ahead if self._shifts else _NONE
        if abs(ahead) <= _SAME:
            ahead = _NONE
        if abs(ahead - before) <= _SAME:
            return None
        since_at = max([real.replace(microsecond=0), *self._sinces[-1:]])
        return Shift(since_at, timedelta(seconds=round(ahead.total_seconds())))


def _less(at: datetime, ahead: timedelta) -> datetime:
    try:
        return at - ahead
    except OverflowError:
        return _FIRST if ahead > _NONE else _LAST


#: Licet lives in the real time, as it always did.
REAL = Shifts()
