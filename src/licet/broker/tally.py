"""Heads of messages become tallies: how much each device used in each quarter of an hour.

What counts, and how much, the noun ``allowances`` says; here it is asked once about each size and each topic that may
not count, and not once about each message.
"""

from collections.abc import Iterable

from licet.allowances import UNCOUNTED, Direction, counted, messages_in
from licet.broker.heads import Head
from licet.postgres.usage import Tally

#: Of MQTT's messages at these QoS a stream of one's own holds second copies; the first are in the server's own stream.
ACKNOWLEDGED = (b"1", b"2")

_TENS_IN_A_SLOT = 90  # 900 seconds
_MAY_NOT_COUNT = tuple({b"." + each.topic.split("/")[0].encode() for each in UNCOUNTED})
_UP = Direction.UP.value.encode()


class Sums:
    """What was used, by slot and device, as heads come in. ``only_unacknowledged``: copies of acknowledged messages are
    passed over. So is what is no device's.
    """

    def __init__(self, *, only_unacknowledged: bool = False) -> None:
        self._passed_over = ACKNOWLEDGED if only_unacknowledged else ()
        self._used: dict[int, dict[bytes, list[int]]] = {}
        self._slots: dict[bytes, dict[bytes, list[int]]] = {}  # the same, by tens of seconds
        self._sizes: dict[bytes, tuple[int, int]] = {}
        self._classes: dict[tuple[bytes, bytes, bytes], int] = {}

    def add(self, heads: Iterable[Head]) -> None:
        """Tally these as well. What is looked up for each of a hundred thousand is kept at hand."""
        sizes, slots, passed_over = self._sizes, self._slots, self._passed_over
        for direction, device, topic, _, _, tens, qos, size in heads:
            if not direction or qos in passed_over:
                continue
            measured = sizes.get(size) or self._measured(size)
            devices = slots.get(tens)
            if devices is None:
                devices = slots[tens] = self._used.setdefault(int(tens) // _TENS_IN_A_SLOT, {})
            sums = devices.get(device)
            if sums is None:
                sums = devices[device] = [0, 0, 0]
            messages = self._of_class(direction, topic, size) if topic.startswith(_MAY_NOT_COUNT) else measured[0]
            sums[direction != _UP] += messages
            sums[2] += measured[1]

    def tallies(self) -> list[Tally]:
        """One for each device and slot."""
        return [Tally(*_names(device), slot, *sums) for slot, of in self._used.items() for device, sums in of.items()]

    def _measured(self, size: bytes) -> tuple[int, int]:
        found = self._sizes[size] = (messages_in(int(size)), int(size))
        return found

    def _of_class(self, direction: bytes, topic: bytes, size: bytes) -> int:
        if (found := self._classes.get((direction, topic, size))) is None:
            found = counted(Direction(direction.decode()), topic_of(topic[1:]), int(size))
            self._classes[direction, topic, size] = found
        return found


def topic_of(subject: bytes) -> str:
    """The MQTT topic that the server made this subject (or this end of one) of: it parts levels by dots, doubles the
    slash for a dot, and puts a single one where a level is empty."""
    parted = subject.decode(errors="replace").replace("//", "\0").replace("/", "")
    return parted.replace(".", "/").replace("\0", ".")


def _names(device: bytes) -> tuple[str, str]:
    product_key, _, device_key = device.decode(errors="backslashreplace").partition(".")
    return product_key, device_key
