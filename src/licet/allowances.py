"""What is used of an allowance, what it covers, and what is excess (rules E1 to E4, F1, F2).

Messages are allowed per device and day of its account's calendar, both directions together; OTA upgrades per device and
calendar month. Nothing carries over. What counts, and how much, is decided here and nowhere else.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from licet.refusals import Reason, Refused

MESSAGE_BYTES = 512  # each started 512 bytes of payload count one message
OTA_BYTES = 5 * 2**20  # each started 5 MB of an upgrade cost one attempt; MB = 2^20


class Usage(StrEnum):
    """What is metered. Top-ups are of one kind each."""

    MESSAGES = "messages"
    OTA = "ota"
    STORAGE = "storage"


class Direction(StrEnum):
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was used, parted: covered + excess = used, always."""

    covered: int
    excess: int

    @property
    def used(self) -> int:
        return self.covered + self.excess


def draw(used: int, allowance: int) -> Drawn:
    """Draw a day's (or a month's) use from its allowance."""
    covered = min(used, allowance)
    return Drawn(covered, used - covered)


def messages_in(payload_bytes: int) -> int:
    """How many messages one payload counts: 0 and 1 → 1, 512 → 1, 513 → 2, 1025 → 3 (rule E1)."""
    return max(1, -(-payload_bytes // MESSAGE_BYTES))


def attempts_in(firmware_bytes: int) -> int:
    """How many attempts one upgrade of that size costs: 6 MB → 2 (rule F1)."""
    return max(1, -(-firmware_bytes // OTA_BYTES))


@dataclass(frozen=True, slots=True)
class MessageClass:
    """Messages of one sort, by the topic behind ``up/PK/DK/`` or ``down/PK/DK/``, and whether they count (rule E3)."""

    name: str
    direction: Direction
    topic: str  # as in MQTT: a/b, or a/# for a and all below it
    counts: bool

    def matches(self, direction: Direction, topic: str) -> bool:
        below = self.topic.removesuffix("/#")
        if direction is not self.direction:
            return False
        return topic == below or (below != self.topic and topic.startswith(f"{below}/"))


#: What does not count. Whatever matches none of these is a message and counts; and so does whatever is longer than one
#: message, for otherwise data could be sent under the name of a heartbeat.
UNCOUNTED = (
    MessageClass("heartbeat", Direction.UP, "sys/heartbeat", counts=False),
    MessageClass("online and offline notice", Direction.UP, "sys/presence/#", counts=False),
    MessageClass("exception notice", Direction.UP, "sys/exception/#", counts=False),
    MessageClass("management command", Direction.DOWN, "sys/command/#", counts=False),
    MessageClass("answer to a management command", Direction.UP, "sys/command/#", counts=False),
    MessageClass("platform's answer to an OTA request", Direction.DOWN, "sys/ota/#", counts=False),
)


def counted(direction: Direction, topic: str, payload_bytes: int) -> int:
    """How many messages this one counts; ``topic``: what comes behind ``up/PK/DK/`` or ``down/PK/DK/``."""
    if payload_bytes <= MESSAGE_BYTES and topic.startswith("sys/"):
        for each in UNCOUNTED:
            if each.matches(direction, topic):
                return 0
    return messages_in(payload_bytes)


def used_up(device_key: str, until: datetime) -> Refused:
    """What a device of an account that blocks is told until its day ends (rule E4)."""
    return Refused(Reason.ALLOWANCE_USED_UP, device_key=device_key, until=f"{until:%F %T} UTC")


WARNINGS = (70, 90, 100)  # per cent of an allowance at which a warning is told


def warnings_crossed(before: int, after: int, allowance: int) -> list[int]:
    """Which of the warnings this use went past: those that ``before`` had not reached and ``after`` has."""
    return [percent for percent in WARNINGS if before * 100 < percent * allowance <= after * 100]
