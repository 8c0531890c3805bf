"""What devices used and what it comes to, reckoned from the rules (domain.md A7, E1 to E4) and not from the code."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.simulation.model.terms import CATALOGUE, ZONES
from tests.simulation.model.world import Product, World

GHOST = "ghost00001"  # a device that nobody ever enters

#: E3, by direction and what comes behind PK and DK: this topic, or all below it.
NOT_COUNTED = (
    ("up", "sys/heartbeat", False),
    ("up", "sys/presence", True),
    ("up", "sys/exception", True),
    ("up", "sys/command", True),
    ("down", "sys/command", True),
    ("down", "sys/ota", True),
)


@dataclass(frozen=True)
class Message:
    """One that went through."""

    product: str
    key: str
    at: datetime
    direction: str  # "up" or "down"
    size: int
    topic: str

    def __str__(self) -> str:
        way = "sends" if self.direction == "up" else "is sent"
        return f"{self.product}/{self.key} {way} {self.size} bytes at {self.at:%Y-%m-%d %H:%M:%S.%f} ({self.topic})"

    def counts(self) -> int:
        """E1: each started 512 bytes. E3: what is no longer than one message may be of a class that does not count."""
        started = 1
        while started * 512 < self.size:
            started += 1
        for direction, topic, below in NOT_COUNTED:
            matches = self.topic == topic or (below and self.topic.startswith(topic + "/"))
            if direction == self.direction and matches and started == 1:
                return 0
        return started


@dataclass(frozen=True)
class Used:
    """Of one device on one day: covered + excess = up + down (E4). A virtual device has no allowance to exceed."""

    up: int
    down: int
    allowance: int | None
    covered: int
    excess: int


def recount(world: World, stream: Sequence[Message]) -> tuple[dict[tuple[str, str, date], Used], int]:
    """E2: everything that ever went through, by device and day of its account; and what no device can be named for."""
    sums: defaultdict[tuple[str, str, date], dict[str, int]] = defaultdict(lambda: {"up": 0, "down": 0})
    nobodys = 0
    for message in stream:
        if message.key == GHOST:
            nobodys += message.counts()
            continue
        zone = ZoneInfo(ZONES[world.products[message.product].account])
        sums[message.product, message.key, message.at.astimezone(zone).date()][message.direction] += message.counts()
    used = {}
    for (name, key, on), ways in sums.items():
        if total := ways["up"] + ways["down"]:
            product = world.products[name]
            allowance = None if product.devices[key].virtual else allowed(product, on)
            covered = total if allowance is None else min(total, allowance)
            used[name, key, on] = Used(ways["up"], ways["down"], allowance, covered, total - covered)
    return used, nobodys


def allowed(product: Product, on: date) -> int | None:
    """A7: by the package that was set last of those that count when the day begins; before all, by the first."""
    begins = midnight(product.account, on)
    effective = [name for counts_from, name in product.packages if counts_from <= begins]
    if not product.packages:
        return None
    return CATALOGUE[effective[-1] if effective else product.packages[0][1]].messages


def midnight(account: str, on: date) -> datetime:
    """When a day of the account's calendar begins."""
    return datetime(on.year, on.month, on.day, tzinfo=ZoneInfo(ZONES[account])).astimezone(UTC)


def next_midnight(account: str, at: datetime) -> datetime:
    return midnight(account, at.astimezone(ZoneInfo(ZONES[account])).date() + timedelta(days=1))
