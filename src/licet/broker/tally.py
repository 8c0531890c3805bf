"""Heads of messages become tallies: how much each device used in each quarter of an hour.

What counts, and how much, the noun ``allowances`` says; here it is asked once about each size and each topic that may
not count, and not once about each message.
"""

from collections.abc import Iterable
from typing import Any

from licet.allowances import UNCOUNTED, Direction, counted, messages_in
from licet.broker.heads import Head
from licet.postgres.usage import Tally

#: Of MQTT's messages at these QoS a stream of one's own holds second copies; the first are in the server's own stream.
ACKNOWLEDGED = (b"1", b"2")

_TENS_IN_A_SLOT = 90  # 900 seconds
_MAY_NOT_COUNT = tuple({each.topic.split("/")[0].encode() for each in UNCOUNTED})
_DIRECTIONS = tuple(Direction)
_PARTS = 4

_Used = list[Any]  # messages, bytes, and what class they may be of


class Sums:
    """What was used, by slot and subject, as heads come in.

    ``only_unacknowledged``: copies of acknowledged messages are passed over. So is what is no device's.
    """

    def __init__(self, *, only_unacknowledged: bool = False) -> None:
        self._passed_over = ACKNOWLEDGED if only_unacknowledged else ()
        self._used: dict[int, dict[bytes, _Used]] = {}
        self._slots: dict[bytes, dict[bytes, _Used]] = {}  # the same, by tens of seconds
        self._sizes: dict[bytes, tuple[int, int]] = {}

    def add(self, heads: Iterable[Head]) -> None:
        """Tally these as well. What is looked up for each of a hundred thousand is kept at hand."""
        sizes, slots, passed_over = self._sizes, self._slots, self._passed_over
        for subject, tens, qos, size in heads:
            if qos in passed_over:
                continue
            measured = sizes.get(size)
            if measured is None:
                measured = sizes[size] = (messages_in(int(size)), int(size))
            subjects = slots.get(tens)
            if subjects is None:
                subjects = slots[tens] = self._used.setdefault(int(tens) // _TENS_IN_A_SLOT, {})
            used = subjects.get(subject)
            if used is None:
                used = subjects[subject] = [0, 0, _class_of(subject)]
            used[0] += measured[0] if used[2] is None else counted(used[2][0], used[2][1], measured[1])
            used[1] += measured[1]

    def tallies(self) -> list[Tally]:
        """One for each device and slot."""
        sums: dict[tuple[str, str, int], list[int]] = {}
        for slot, subjects in self._used.items():
            for subject, (messages, payload_bytes, _) in subjects.items():
                direction, product_key, device_key, _ = _parted(subject)
                if direction not in _DIRECTIONS:
                    continue
                of = sums.setdefault((product_key, device_key, slot), [0, 0, 0])
                of[direction == Direction.DOWN] += messages
                of[2] += payload_bytes
        return [Tally(*names, *of) for names, of in sums.items()]


def _parted(subject: bytes) -> list[str]:
    """Direction, product key, device key and the rest, empty where there is nothing."""
    parts = subject.decode(errors="backslashreplace").split(".", 3)
    return parts if len(parts) == _PARTS else parts + [""] * (_PARTS - len(parts))


def _class_of(subject: bytes) -> tuple[Direction, str] | None:
    """Direction and topic of what may not count."""
    parts = subject.split(b".", 3)
    if len(parts) == _PARTS and parts[3].startswith(_MAY_NOT_COUNT) and parts[0].decode() in _DIRECTIONS:
        return Direction(parts[0].decode()), topic_of(parts[3])
    return None


def topic_of(subject: bytes) -> str:
    """The MQTT topic that the server made this subject (or this end of one) of: it parts levels by dots, doubles the
    slash for a dot, and puts a single one where a level is empty."""
    parted = subject.decode(errors="replace").replace("//", "\0").replace("/", "")
    return parted.replace(".", "/").replace("\0", ".")
