"""What a month came to, per kind (rules G1, G5, G6).

A statement is closed on the 1st of the next month of the account's calendar, and never reopened: what is counted later
is billed with the next month and says from which one it is.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from licet.allowances import Usage


class Billing(StrEnum):
    UNBILLED = "unbilled"
    BILLED = "billed"


class Settlement(StrEnum):
    UNSETTLED = "unsettled"
    SETTLED = "settled"


class LedgerType(StrEnum):
    """Why a balance of top-ups changed (rule G4)."""

    GIFT = "gift"
    PURCHASE = "purchase"
    EXCESS = "excess"  # a device's, as it happened, of an account that blocks
    BILL = "bill"  # a month's
    EXPIRY = "expiry"


@dataclass(frozen=True, slots=True)
class Line:
    """One kind's excess on a statement, and from which month it is: its own, or one that was counted late."""

    usage: Usage
    from_month: date
    excess: int


@dataclass(frozen=True, slots=True)
class Charge:
    """One kind of a statement: excess = settled + owed."""

    excess: int
    settled: int

    @property
    def owed(self) -> int:
        return self.excess - self.settled


@dataclass(frozen=True, slots=True)
class Statement:
    """A month of an account. ``closed_at`` is None while the month runs: then its figures are live, and unbilled."""

    account_id: str
    month: date
    time_zone: str
    closed_at: datetime | None
    charges: dict[Usage, Charge]
    lines: tuple[Line, ...]

    @property
    def billing(self) -> Billing:
        return Billing.UNBILLED if self.closed_at is None else Billing.BILLED

    @property
    def settlement(self) -> Settlement:
        owed = any(charge.owed for charge in self.charges.values())
        return Settlement.UNSETTLED if owed else Settlement.SETTLED


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the ledger: balance = sum of the quantities up to it, always (rule G4)."""

    id: int
    usage: Usage
    at: datetime
    type: LedgerType
    quantity: int
    balance: int
    month: date | None
    reference: str | None


def month_of(on: date) -> date:
    """A month goes by its first day."""
    return on.replace(day=1)


def next_month(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def begins_at(month: date, time_zone: str) -> datetime:
    """The first midnight of a month in the account's calendar."""
    return datetime(month.year, month.month, 1, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def closes_at(month: date, time_zone: str) -> datetime:
    """The 1st of the next month, in the account's calendar: when a month is closed (rule G1)."""
    return begins_at(next_month(month), time_zone)
