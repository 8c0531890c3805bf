"""Sweep: bring renewals up to now, and give notice of what is coming (rules D1 to D6); release idle upgrades (F3).

Nothing here makes a device expire. Time does; we write it down. A sweep may run late, twice, or on two machines at
once: whoever is admitted next, or assigns a code next, settles the same renewals in the same order.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from licet.events import Happening, Kind
from licet.firmware import IDLE
from licet.postgres import activations, events, lots, notices, ota, products
from licet.postgres.books import Books
from licet.postgres.notices import NEAR_EXPIRY, RUN_OUT
from licet.postgres.turns import Work, take_turn
from licet.renew import renew

_NEAR_EXPIRY_DAYS = (1, 7, 30)  # before the end of a span
_RUN_OUT_DAYS = (30, 90)  # of renewals that a product's codes must cover
_NEAR_EXPIRY_EVERY = 1  # days
_RUN_OUT_EVERY = 7  # days
_BITE = 20_000  # devices settled in one transaction


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep wrote down."""

    renewed: int = 0
    lapsed: int = 0
    notices: int = 0
    released: int = 0


async def sweep(books: Books, *, now: datetime) -> Swept:
    """One sweep.

    1. Of each product in which spans have ended, settle the renewals, in bites of one transaction each.
    2. Give notice of devices near their expiry, and of products whose codes will not cover the renewals ahead.
    3. Fail upgrades that nobody has heard of for a day: their attempts are released.
    """
    renewed = lapsed = 0
    for product_id in await products.due(books, now=now):
        finished = False
        while not finished:
            async with books.transaction() as held:
                locked = await products.lock(held, [product_id])
                finished = not locked
                for product in locked:
                    settled = await renew(held, product, now=now, most=_BITE)
                    renewed, lapsed = renewed + settled.renewed, lapsed + settled.lapsed
                    finished = settled.finished
    given = await _give_notice(books, now=now)
    return Swept(renewed, lapsed, given, await _release(books, now=now))


async def _release(books: Books, *, now: datetime) -> int:
    """Upgrades that have not moved for a day have failed (rule F3). Returns how many."""
    async with books.transaction() as books:
        failed = await ota.fail_idle(books, since=now - IDLE, most=_BITE, now=now)
        happenings = []
        for (account_id, product_key), those in groupby(failed, lambda each: each[:2]):
            _, _, device_keys, ids = zip(*those, strict=True)
            facts = {"ids": list(ids), "device_keys": list(device_keys)}
            happenings.append(Happening(Kind.OTA_FAILED, account_id, product_key, facts))
        await events.tell(books, happenings, now=now)
        return len(failed)


async def _give_notice(books: Books, *, now: datetime) -> int:
    """Look at each product once a day (near expiry) or once a week (codes running out). Returns how many were given."""
    async with books.transaction() as books:
        if not await take_turn(books, Work.NOTICES):
            return 0
        happenings = await _near_expiry(books, now=now) + await _run_out(books, now=now)
        await events.tell(books, happenings, now=now)
        return len(happenings)


async def _near_expiry(books: Books, *, now: datetime) -> list[Happening]:
    """Spans that came within 30, 7 or 1 days of their end since the last look. A shorter term gets no such notice."""
    happenings, told = [], []
    for due in await notices.due_notices(books, NEAR_EXPIRY, _NEAR_EXPIRY_DAYS, every=_NEAR_EXPIRY_EVERY, now=now):
        until = now + timedelta(days=due.days)
        since = max(now, due.told_until or now)
        count, first = await activations.ending(books, due.product_id, since=since, until=until)
        told.append((due.product_id, due.days, until))
        if count:
            facts = {"days": due.days, "count": count, "first_expires_at": first}
            happenings.append(Happening(Kind.DEVICES_NEAR_EXPIRY, due.account_id, due.product_key, facts))
    await notices.set_told_until(books, NEAR_EXPIRY, told)
    return happenings


async def _run_out(books: Books, *, now: datetime) -> list[Happening]:
    """Products that renew by themselves and will have fewer codes than renewals in the next 30 or 90 days."""
    happenings, told = [], []
    for due in await notices.due_notices(books, RUN_OUT, _RUN_OUT_DAYS, every=_RUN_OUT_EVERY, now=now):
        until = now + timedelta(days=due.days)
        told.append((due.product_id, due.days, until))
        if not due.renews:
            continue
        needed = await activations.renewing(books, due.product_id, since=now, until=until)
        if not needed:
            continue
        ranges = (await lots.open_ranges(books, [due.product_id])).get(due.product_id, [])
        available = sum(each.left(now) for each in ranges)
        if available < needed:
            facts = {"days": due.days, "needed": needed, "available": available}
            happenings.append(Happening(Kind.CODES_WILL_RUN_OUT, due.account_id, due.product_key, facts))
    await notices.set_told_until(books, RUN_OUT, told)
    return happenings
