"""Renew: when a device's code expires, the next one of its product is consumed by itself (rules D1 to D5).

Nothing here makes a device expire; time does. What is written down is what time has already made true, in the order in
which it did: so renewals due are settled *before* anything that would change what they decide (a code assigned or
consumed, a switch, a package), and it makes no difference whether the sweep ran late, twice or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from licet.events import Happening, Kind
from licet.lots import Range, take
from licet.postgres import activations, events, lots, products
from licet.postgres.books import Books
from licet.products import LockedProduct, RenewalPolicy
from licet.units import Term

_BITE = 5_000  # devices an event names at the most
_EVERYTHING = 2**62
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What came of the spans that had ended: how many devices were renewed, how many lapsed, and if that is all."""

    renewed: int = 0
    lapsed: int = 0
    finished: bool = True


async def settle(books: Books, product_ids: Sequence[int], *, now: datetime) -> list[LockedProduct]:
    """Hold these products until the transaction ends, with all renewals up to ``now`` in the books."""
    locked = await products.lock(books, product_ids)
    for product in locked:
        await renew(books, product, now=now)
    return locked


async def renew(books: Books, product: LockedProduct, *, now: datetime, most: int = _EVERYTHING) -> Renewal:
    """Settle the renewals of a locked product that are due at ``now``; of very many, about ``most`` devices' worth.

    1. Find the earliest span that ended and of which nothing is written yet.
    2. Take a slice of time from there in which nothing that decides can change: no longer than one term, so that no
       span begun in it ends in it, and not beyond the instant at which codes of a lot are lost.
    3. Renew in it, earliest expiry first, then by DK, as far as the codes reach; the rest lapses, and it says why.
    4. Go on until nothing is due.
    """
    renewed = lapsed = 0
    looked_from = product.renewed_until
    while (first := await activations.first_due(books, product.id, looked_from, now=now)) is not None:
        assert product.term is not None, "a device cannot have a span of a product without a package"
        looked_from = first - _INSTANT
        if renewed + lapsed >= most:
            await products.set_renewed_until(books, product.id, looked_from)
            return Renewal(renewed, lapsed, finished=False)
        ranges = (await lots.open_ranges(books, [product.id])).get(product.id, [])
        stop = _slice_ends_at(first, product.term, ranges)
        wanted, granted = await _renew_slice(books, product, first, stop, ranges, now=now)
        renewed += granted
        if wanted < _BITE or granted < wanted:
            lapsed += await _lapse_slice(books, product, first, stop, now=now)
    if renewed or lapsed:
        await products.set_renewed_until(books, product.id, now)
    return Renewal(renewed, lapsed)


def _slice_ends_at(first: datetime, term: Term, ranges: Sequence[Range]) -> datetime:
    lost = [each.use_by for each in ranges if each.use_by is not None and each.use_by > first]
    return min([term.no_end_before(first), *lost])


async def _renew_slice(
    books: Books, product: LockedProduct, first: datetime, stop: datetime, ranges: Sequence[Range], *, now: datetime
) -> tuple[int, int]:
    """Renew one bite of the spans that ended in [first, stop). Returns how many wanted a code, and how many got one."""
    if not product.auto_renewal or product.renewal_policy is RenewalPolicy.ON_CONNECT or product.term is None:
        return 0, 0
    wanted = await activations.count_due(books, product.id, first, stop, most=_BITE, now=now)
    takings = take(ranges, wanted, at=first)
    if not takings:
        return wanted, 0
    device_keys = await activations.renew_due(
        books, product.id, first, stop, term=product.term, takings=takings, now=now
    )
    await lots.take_from(books, [(product.id, taking) for taking in takings])
    facts = {"count": len(device_keys), "device_keys": device_keys}
    await events.tell(books, [Happening(Kind.DEVICES_RENEWED, product.account_id, product.product_key, facts)], now=now)
    return wanted, len(device_keys)


async def _lapse_slice(books: Books, product: LockedProduct, first: datetime, stop: datetime, *, now: datetime) -> int:
    """Write down, for one bite of the spans that ended in [first, stop) and were not followed, why not."""
    by_reason = await activations.lapse_due(
        books,
        product.id,
        first,
        stop,
        renewal_off=not product.auto_renewal,
        on_connect=product.renewal_policy is RenewalPolicy.ON_CONNECT,
        most=_BITE,
        now=now,
    )
    told = [
        Happening(
            Kind.DEVICES_LAPSED,
            product.account_id,
            product.product_key,
            {"reason": reason.value, "count": len(device_keys), "device_keys": device_keys},
        )
        for reason, device_keys in by_reason.items()
    ]
    await events.tell(books, told, now=now)
    return sum(len(device_keys) for device_keys in by_reason.values())
