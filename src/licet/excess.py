"""Excess is offset by top-ups, as far as they reach; the rest is owed (rules G2, G3).

Top-ups belong to an account and are of one kind each. The one that expires first is drawn first, then the oldest; one
that has expired is gone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Origin(StrEnum):
    """How an account came to a top-up."""

    PURCHASE = "purchase"
    GIFT = "gift"


@dataclass(frozen=True, slots=True)
class Topup:
    """So many units of one kind, and how many are left of them."""

    id: str
    quantity: int
    left: int
    expires_at: datetime | None
    bought_at: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an excess: settled + owed = excess, always. ``drawn``: (top-up's id, how many of it)."""

    settled: int
    owed: int
    drawn: tuple[tuple[str, int], ...]


def settle(excess: int, topups: Iterable[Topup], *, at: datetime) -> Settled:
    """Offset an excess by the top-ups that are good at that instant: earliest expiry first, then oldest."""
    owed, drawn = excess, []
    for topup in sorted(topups, key=lambda t: (t.expires_at is None, t.expires_at or at, t.bought_at, t.id)):
        if topup.expires_at is not None and topup.expires_at <= at:
            continue
        if taken := min(owed, topup.left):
            drawn.append((topup.id, taken))
            owed -= taken
    return Settled(excess - owed, owed, tuple(drawn))
