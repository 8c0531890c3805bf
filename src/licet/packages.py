"""A package fixes what one code allows: how long, and how much of everything while it lasts (rule A3)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from licet.units import Term


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a code allows. Two packages with equal allowances may serve the same product (rule A6)."""

    term: Term
    messages_per_day: int
    ota_per_month: int
    storage_days: int

    def in_words(self) -> str:
        """``5 years, 1500 messages a day, 1 OTA upgrade a month, 7 days of storage``, all per device."""
        upgrades = "OTA upgrade" if self.ota_per_month == 1 else "OTA upgrades"
        kept = "day" if self.storage_days == 1 else "days"
        return (
            f"{self.term.in_words()}, {self.messages_per_day} messages a day, "
            f"{self.ota_per_month} {upgrades} a month, {self.storage_days} {kept} of storage"
        )

    def covers(self, other: "Allowance") -> bool:
        """Whether nobody loses by going from ``other`` to this: at least as much on every figure (rule A7)."""
        return (
            self.term.days_typical >= other.term.days_typical
            and self.messages_per_day >= other.messages_per_day
            and self.ota_per_month >= other.ota_per_month
            and self.storage_days >= other.storage_days
        )


@dataclass(frozen=True, slots=True)
class Package:
    """A name for an allowance. A package never changes; a product is upgraded to another one instead."""

    id: str
    name: str
    allowance: Allowance


def upgrade_takes_effect_at(now: datetime, time_zone: str) -> datetime:
    """The account's next midnight: from then on a new package's messages and OTA upgrades count (rule A7).

    Where that midnight is skipped by a clock change, the first instant of the day.
    """
    zone = ZoneInfo(time_zone)
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone)
    return midnight.astimezone(UTC)
