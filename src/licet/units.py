"""Terms and the days in them. A term's month and a calendar month are two different things.

A term is how long a code lasts: years, months and days, written as ISO 8601 does (``P5Y``, ``P1Y5M``, ``P360D``).
How many days that is depends on its day count (rule A5): under ``calendar`` a month ends on the same day of a later
month, or on that month's last; under ``30/360`` a month is 30 days and a year 360, always.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from dateutil.relativedelta import relativedelta

_ISO_8601 = re.compile(r"P(?=\d)(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})D)?", re.ASCII)
_LONGEST_DAYS = 100 * 366


class DayCount(StrEnum):
    """How the months of a term are turned into days."""

    CALENDAR = "calendar"
    THIRTY_360 = "30/360"


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """So many months and days; a year is twelve months.

    Two terms that say the same are equal: P1Y and P12M; and P360D by either day count, which only matters for months.
    """

    months: int
    days: int
    day_count: DayCount = DayCount.CALENDAR

    @classmethod
    def parse(cls, text: str, day_count: DayCount = DayCount.CALENDAR) -> Self:
        """Read ``P5Y``, ``P1Y5M`` or ``P360D``. Raises ValueError for anything else, nothing, or over a century."""
        found = _ISO_8601.fullmatch(text)
        if found is None:
            raise ValueError("a term is written as years, months and days, like P5Y, P1Y5M or P360D")
        years, months, days = (int(part or 0) for part in found.groups())
        term = cls(years * 12 + months, days, day_count)
        if not 0 < term.days_at_least <= _LONGEST_DAYS:
            raise ValueError("a term is at least one day and at most a hundred years")
        return term

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Term) and self._says == other._says

    def __hash__(self) -> int:
        return hash(self._says)

    @property
    def _says(self) -> tuple[int, int, DayCount | None]:
        return self.months, self.days, self.day_count if self.months else None

    def __str__(self) -> str:
        years, months = divmod(self.months, 12)
        parts = ((years, "Y"), (months, "M"), (self.days, "D"))
        return "P" + "".join(f"{count}{unit}" for count, unit in parts if count)

    @property
    def days_at_least(self) -> int:
        """The fewest days this term can come to: what a comparison may rely on."""
        return self.months * (30 if self.day_count is DayCount.THIRTY_360 else 28) + self.days

    @property
    def days_typical(self) -> float:
        """Its days by the mean Gregorian month (146,097 days in 4,800 months): to say which of two terms is longer."""
        return self.months * (30 if self.day_count is DayCount.THIRTY_360 else 146_097 / 4_800) + self.days

    def ends_at(self, starts_at: datetime) -> datetime:
        """The first instant that a span of this term, begun at ``starts_at`` (aware), no longer covers (rule A5)."""
        starts_at = starts_at.astimezone(UTC)
        if self.day_count is DayCount.THIRTY_360:
            return starts_at + timedelta(days=self.months * 30 + self.days)
        return starts_at + relativedelta(months=self.months) + timedelta(days=self.days)

    def no_end_before(self, starts_at: datetime) -> datetime:
        """No span of this term that begins at ``starts_at`` or later ends before this instant.

        Not simply where that span ends: what begins on 28 January at noon ends on 28 February at noon, but what begins
        on 29 January at ten ends on 28 February at ten. The day is the same, so it is the first instant of that day.
        """
        return self.ends_at(starts_at).replace(hour=0, minute=0, second=0, microsecond=0)

    def in_words(self) -> str:
        """``5 years``, ``1 year 5 months``, ``360 days``."""
        years, months = divmod(self.months, 12)
        parts = ((years, "year"), (months, "month"), (self.days, "day"))
        words = " ".join(f"{count} {word}{'s' if count != 1 else ''}" for count, word in parts if count)
        return f"{words} (30/360)" if self.day_count is DayCount.THIRTY_360 and self.months else words
