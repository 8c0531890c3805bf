"""Tallies of messages become rows of the books, many thousands at once: copied, and not inserted.

What is copied is packed here in the server's own binary form: that costs a quarter of what its array types cost.
"""

import struct
from collections.abc import Sequence
from datetime import date
from itertools import islice

from licet.postgres.books import Books
from licet.postgres.usage import Tally, add_to_products, days_of, devices_named

# A row as the server copies it: four columns, each with its length before it.
_DELTA = struct.Struct("!hiiiqiiii").pack
_COPY_BEGINS = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_ENDS = b"\xff\xff"
_EPOCH = date(2000, 1, 1).toordinal()


class Known:
    """Devices whose ids need not be asked for again: a device keeps its id for ever, also when it is deleted."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._ids: dict[tuple[str, str], tuple[int, int, bool]] = {}

    def get(self, names: tuple[str, str]) -> tuple[int, int, bool] | None:
        """(device, product, virtual), if known."""
        return self._ids.get(names)

    def learn(self, found: dict[tuple[str, str], tuple[int, int, bool]]) -> None:
        """Remember these; who was learnt first is forgotten first."""
        self._ids |= found
        for names in list(islice(self._ids, max(0, len(self._ids) - self._most))):
            del self._ids[names]


async def count(books: Books, tallies: Sequence[Tally], known: Known | None = None) -> list[Tally]:
    """Tallies become deltas of devices and days, and messages and stored bytes of products and days; what a device said
    before it was deleted, too. Returns those for which there is no such device.
    """
    names = [tally[:2] for tally in tallies]
    ids = await _ids_of(books, names, known or Known(0))
    slots = {(found[1], tally.slot) for found, tally in zip(ids, tallies, strict=True) if found is not None}
    days = await days_of(books, sorted(slots))
    numbers = {slot: on.toordinal() - _EPOCH for slot, on in days.items()}
    messages: dict[tuple[int, int], int] = dict.fromkeys(slots, 0)
    stored = messages.copy()
    deltas, strangers = [], []
    for found, tally in zip(ids, tallies, strict=True):
        if found is None:
            strangers.append(tally)
            continue
        device_id, product_id, virtual = found
        slot = product_id, tally.slot
        if tally.up or tally.down:
            deltas.append(_DELTA(4, 4, numbers[slot], 8, device_id, 4, tally.up, 4, tally.down))
            if not virtual:
                messages[slot] += tally.up + tally.down
        stored[slot] += tally.bytes
    if deltas:
        rows = b"".join([_COPY_BEGINS, *deltas, _COPY_ENDS])
        await books.copy("message_deltas", ("used_on", "device_id", "up", "down"), rows)
    if slots:
        await add_to_products(books, [(slot[0], days[slot], messages[slot], stored[slot]) for slot in sorted(slots)])
    return strangers


async def _ids_of(books: Books, names: Sequence[tuple[str, str]], known: Known) -> list[tuple[int, int, bool] | None]:
    ids = list(map(known.get, names))
    unknown = list({name for name, found in zip(names, ids, strict=True) if found is None})
    if not unknown:
        return ids
    found = await devices_named(books, unknown)
    known.learn(found)
    return [found.get(name) if one is None else one for name, one in zip(names, ids, strict=True)]
