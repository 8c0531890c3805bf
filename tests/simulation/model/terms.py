"""Terms and allowances, reckoned by hand from the rules (A3, A5, A7) and not from the code."""

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Allowance:
    """``thirty``: a month is 30 days and a year 360 (A5)."""

    months: int
    days: int
    thirty: bool = False
    messages: int = 1500
    ota: int = 1
    storage: int = 7

    def end_of(self, start: datetime) -> datetime:
        if self.thirty:
            return start + timedelta(days=30 * self.months + self.days)
        year, month = divmod(start.year * 12 + start.month - 1 + self.months, 12)
        last = calendar.monthrange(year, month + 1)[1]
        return start.replace(year=year, month=month + 1, day=min(start.day, last)) + timedelta(days=self.days)

    def figures(self) -> tuple[float, int, int, int]:
        """What an upgrade may not take away (A7): the mean length of the term and the three figures."""
        return self.months * (30 if self.thirty else 365.2425 / 12) + self.days, self.messages, self.ota, self.storage

    def covers(self, other: "Allowance") -> bool:
        return all(mine >= its for mine, its in zip(self.figures(), other.figures(), strict=True))


FREE = "Free codes P1Y"

#: The calendar of an account.
ZONES = {"acme": "Europe/Berlin", "globex": "Australia/Lord_Howe"}

#: What sales has to offer. "year" and "year too" have the same allowance, and so has the package of free codes.
CATALOGUE = {
    "day": Allowance(0, 1),
    "30 days": Allowance(0, 30),
    "month": Allowance(1, 0),
    "month, more": Allowance(1, 0, messages=3000),
    "30/360 month": Allowance(1, 0, thirty=True),
    "year": Allowance(12, 0),
    "year too": Allowance(12, 0),
    "30/360 year": Allowance(12, 0, thirty=True),
    "two years, more": Allowance(24, 0, messages=3000, ota=2),
    FREE: Allowance(12, 0),
}
