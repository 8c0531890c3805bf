"""A lot is credited whole and consumed one code at a time. Crediting consumes nothing.

Within a product, codes are numbered 1, 2, 3 … in the order in which they were assigned to it (rule A2); a *range* is a
run of such numbers that came from one lot. Codes do not expire before a device consumes them, unless their lot carries
a ``use_by`` instant (rule A11): what is left of it then is gone, and what would be lost soonest is consumed first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from licet.packages import Package
from licet.refusals import Reason, Refused


class Origin(StrEnum):
    """How an account came to its codes."""

    PURCHASE = "purchase"
    FREE = "free"


@dataclass(frozen=True, slots=True)
class Lot:
    """So many codes of one package, bought or given, and how many of them were assigned to products so far."""

    id: str
    account_id: str
    package_id: str
    origin: Origin
    quantity: int
    assigned: int
    order_reference: str
    use_by: datetime | None
    credited_at: datetime
    product_key: str | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """Codes of one package that went to one product, for good: how many, when, and who saw to it (rule A10)."""

    id: str
    account_id: str
    product_key: str
    product_name: str
    package: Package
    quantity: int
    assigned_at: datetime
    assigned_by: str


@dataclass(frozen=True, slots=True)
class Range:
    """A run of a product's codes that came from one lot: ``quantity`` numbers from ``first_number`` upwards."""

    first_number: int
    quantity: int
    consumed: int
    use_by: datetime | None = None

    def left(self, at: datetime) -> int:
        """How many of its codes a device could still consume at that instant."""
        if self.use_by is not None and at >= self.use_by:
            return 0
        return self.quantity - self.consumed


@dataclass(frozen=True, slots=True)
class Taking:
    """``quantity`` codes taken from the range that begins at ``range_first``: numbers from ``first_number`` upwards."""

    range_first: int
    first_number: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Codes:
    """The three counters of an account or a product (rules B1 to B3). Total = available + consumed, always."""

    available: int = 0
    consumed: int = 0

    @property
    def total(self) -> int:
        return self.available + self.consumed


@dataclass(frozen=True, slots=True)
class Shortage:
    """A product without a code left: what was consumed, and what could be assigned to it."""

    product: str
    consumed: int
    unassigned: int

    @property
    def refusal(self) -> Refused:
        """What a device that wants a code is told (rule C2)."""
        return Refused(
            Reason.NO_CODE_AVAILABLE,
            product=self.product,
            consumed=self.consumed,
            total=self.consumed,
            unassigned=self.unassigned,
        )


def take(ranges: Iterable[Range], quantity: int, *, at: datetime) -> list[Taking]:
    """Take up to ``quantity`` codes: those whose ``use_by`` comes first, then the lowest numbers.

    Fewer come back when fewer are left; what is granted is always the beginning of what was asked.
    """
    takings = []
    for each in sorted(ranges, key=lambda r: (r.use_by is None, r.use_by or at, r.first_number)):
        taken = min(quantity, each.left(at))
        if taken > 0:
            takings.append(Taking(each.first_number, each.first_number + each.consumed, taken))
            quantity -= taken
    return takings
