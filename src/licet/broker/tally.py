"""Heads of messages become tallies: how much each device used in each quarter of an hour.

What counts, and how much, the noun ``allowances`` says; here it is asked once about each size and each topic that may
not count, and not once about each message.
"""

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter

from licet.allowances import MESSAGE_BYTES, UNCOUNTED, Direction, counted, messages_in
from licet.broker.heads import QOS, TENS, Head
from licet.postgres.usage import Tally

#: Of MQTT's messages at these QoS a stream of one's own holds second copies; the first are in the server's own stream.
ACKNOWLEDGED = (b"1", b"2")

_TENS_IN_A_SLOT = 90  # 900 seconds
_MAY_NOT_COUNT = tuple({each.topic.split("/")[0] for each in UNCOUNTED})
_DIRECTIONS = tuple(Direction)
_PARTS = 4

# One number holds what is summed, so that a message costs one addition: bytes, messages, and how many of these are no
# longer than one.
_BYTES, _SHORT = 48, 80  # where the second and the third begin
_ALL_BYTES, _MASK = (1 << _BYTES) - 1, (1 << _SHORT - _BYTES) - 1
_tens = itemgetter(TENS)


class _Sizes(dict[bytes, int]):
    """What a message of a size adds."""

    def __missing__(self, size: bytes) -> int:
        payload_bytes = int(size)
        short = payload_bytes <= MESSAGE_BYTES
        found = self[size] = payload_bytes + (messages_in(payload_bytes) << _BYTES) + (short << _SHORT)
        return found


class Sums:
    """What was used, by slot and subject, as heads come in.

    ``only_unacknowledged``: copies of acknowledged messages are passed over. So is what is no device's.
    """

    def __init__(self, *, only_unacknowledged: bool = False) -> None:
        self._only_unacknowledged = only_unacknowledged
        self._sizes = _Sizes()
        self._used: defaultdict[int, defaultdict[bytes, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, heads: Sequence[Head]) -> None:
        """Tally these as well."""
        if self._only_unacknowledged:
            heads = [head for head in heads if head[QOS] not in ACKNOWLEDGED]
        slots = {tens: int(tens) // _TENS_IN_A_SLOT for tens in set(map(_tens, heads))}
        sizes = self._sizes
        if len(set(slots.values())) == 1:
            used = self._used[next(iter(slots.values()))]
            for subject, _, _, size in heads:
                used[subject] += sizes[size]
        else:
            for subject, tens, _, size in heads:
                self._used[slots[tens]][subject] += sizes[size]

    def tallies(self) -> list[Tally]:
        """One for each device, slot and direction."""
        tallies = []
        for slot, used in self._used.items():
            ups: defaultdict[tuple[str, str], int] = defaultdict(int)
            downs: defaultdict[tuple[str, str], int] = defaultdict(int)
            for subject, sum_ in used.items():
                direction, product_key, device_key, rest = _parted(subject)
                may_count = not rest.startswith(_MAY_NOT_COUNT)
                counts = sum_ if may_count else _without_uncounted(direction, rest, sum_)
                if direction == "up":
                    ups[product_key, device_key] += counts
                elif direction == "down":
                    downs[product_key, device_key] += counts
            tallies += [
                Tally(*names, slot, sum_ >> _BYTES & _MASK, 0, sum_ & _ALL_BYTES) for names, sum_ in ups.items()
            ]
            tallies += [
                Tally(*names, slot, 0, sum_ >> _BYTES & _MASK, sum_ & _ALL_BYTES) for names, sum_ in downs.items()
            ]
        return tallies


def _without_uncounted(direction: str, rest: str, sum_: int) -> int:
    """Of messages of a class that does not count, only those that are longer than one do."""
    if direction in _DIRECTIONS and not counted(Direction(direction), topic_of(rest.encode()), 0):
        return sum_ - ((sum_ >> _SHORT) << _BYTES)
    return sum_


def _parted(subject: bytes) -> Sequence[str]:
    """Direction, product key, device key and the rest, empty where there is nothing."""
    parts = subject.decode(errors="backslashreplace").split(".", 3)
    return parts if len(parts) == _PARTS else parts + [""] * (_PARTS - len(parts))


def topic_of(subject: bytes) -> str:
    """The MQTT topic that the server made this subject (or this end of one) of: it parts levels by dots, doubles the
    slash for a dot, and puts a single one where a level is empty."""
    parted = subject.decode(errors="replace").replace("//", "\0").replace("/", "")
    return parted.replace(".", "/").replace("\0", ".")
