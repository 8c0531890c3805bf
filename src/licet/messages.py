"""What devices say and are told, as it is stored and read back; and what is on its way to a device (rule E5).

A message to a device waits in the books until the broker has it; then it is *sent*: stored, counted, and kept for a
device that is away. It is *delivered* when the device has acknowledged it. A device that listens at QoS 0 acknowledges
nothing, so what it heard stays *sent*.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from licet.allowances import Direction

#: What comes behind ``down/PK/DK/``: levels of visible ASCII, none empty; no wildcards, and nothing that a broker parts
#: words by.
TOPIC = re.compile(r"[!-.0-~]+(?:/[!-.0-~]+)*", re.ASCII)
TOPIC_BYTES = 200
NOT_IN_TOPICS = frozenset("+#*>.")

#: The largest message to a device. The broker's own limit, 64 KiB, is for payload and headers together.
DOWNLINK_BYTES = 63 * 1024


class DeliveryState(StrEnum):
    """How far a message to a device has come."""

    WAITING = "waiting"  # in the books; the broker does not have it yet
    SENT = "sent"  # stored at the broker, and counted; the device has not acknowledged it
    DELIVERED = "delivered"  # the device has acknowledged it


@dataclass(frozen=True, slots=True)
class Downlink:
    """A message to a device. ``sequence``: its place in the broker's stream; ``delivered_at``: when licet heard so."""

    id: str
    ordinal: int
    topic: str
    bytes: int
    asked_at: datetime
    asked_by: str
    sequence: int | None
    delivered_at: datetime | None

    @property
    def state(self) -> DeliveryState:
        if self.delivered_at is not None:
            return DeliveryState.DELIVERED
        return DeliveryState.WAITING if self.sequence is None else DeliveryState.SENT


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as the broker has stored it. ``topic``: what comes behind ``up/PK/DK/`` or ``down/PK/DK/``."""

    at: datetime
    direction: Direction
    topic: str
    qos: int
    payload: bytes


#: Where a page of stored messages begins: in each of the broker's streams, the next sequence to look at.
Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoredPage:
    """Stored messages, the oldest first; ``next_place`` is None when there are no more."""

    messages: list[StoredMessage]
    next_place: Place | None


def is_topic(topic: str) -> bool:
    """Whether a device can be sent something under this topic."""
    return len(topic) <= TOPIC_BYTES and TOPIC.fullmatch(topic) is not None and not NOT_IN_TOPICS & set(topic)
