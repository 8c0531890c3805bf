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


def tally(heads: Iterable[Head], *, only_unacknowledged: bool = False) -> list[Tally]:
    """What was used, by device and slot. ``only_unacknowledged``: copies of acknowledged messages are passed over.

    So is what is no device's.
    """
    used: dict[tuple[bytes, int], list[int]] = {}
    sizes: dict[bytes, tuple[int, int]] = {}
    slots: dict[bytes, int] = {}
    classes: dict[tuple[bytes, bytes, bytes], int] = {}
    for direction, device, topic, _, _, tens, qos, size in heads:
        if not direction or (only_unacknowledged and qos in ACKNOWLEDGED):
            continue
        if (slot := slots.get(tens)) is None:
            slot = slots[tens] = int(tens) // _TENS_IN_A_SLOT
        if (measured := sizes.get(size)) is None:
            measured = sizes[size] = (messages_in(int(size)), int(size))
        messages, payload_bytes = measured
        if topic.startswith(_MAY_NOT_COUNT):
            if (found := classes.get((direction, topic, size))) is None:
                found = counted(Direction(direction.decode()), topic_of(topic[1:]), payload_bytes)
                classes[direction, topic, size] = found
            messages = found
        if (sums := used.get((device, slot))) is None:
            sums = used[device, slot] = [0, 0, 0]
        sums[direction != _UP] += messages
        sums[2] += payload_bytes
    return [Tally(*_names(device), slot, *sums) for (device, slot), sums in used.items()]


def topic_of(subject: bytes) -> str:
    """The MQTT topic that the server made this subject (or this end of one) of: it parts levels by dots, doubles the
    slash for a dot, and puts a single one where a level is empty."""
    parted = subject.decode(errors="replace").replace("//", "\0").replace("/", "")
    return parted.replace(".", "/").replace("\0", ".")


def _names(device: bytes) -> tuple[str, str]:
    product_key, _, device_key = device.decode(errors="backslashreplace").partition(".")
    return product_key, device_key
