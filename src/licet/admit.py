"""Admit: a device knocks, and is let in or not (rules C1, C2, C5 to C7, D1 to D4).

A code is consumed when a device first connects; every later connect inside its span costs nothing and writes nothing.
Knocks are answered many at a time: what is known in one read, and what wants a code in one transaction.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from licet.activations import Answer, Consumption, Latest, Reason
from licet.allowances import used_up
from licet.events import Happening, Kind
from licet.keyring import Keyring
from licet.lots import Range, Taking, take
from licet.postgres import activations, devices, events, lots, products
from licet.postgres.books import Books
from licet.postgres.devices import Known
from licet.products import Knock, LockedProduct, RenewalPolicy
from licet.refusals import Reason as No
from licet.refusals import Refused
from licet.renew import settle

_STRANGER = Answer(refusal=Refused(No.NOT_AUTHORIZED))
_INSTANT = timedelta(microseconds=1)


async def admit(books: Books, knocks: Sequence[Knock], *, now: datetime) -> list[Answer]:
    """Answer every knock, in order. A device that knocks several times at once is answered alike each time.

    1. Look all of them up and hold each secret against the books: one read.
    2. Let in those whose span covers now, and the virtual devices; refuse strangers and those that may not renew.
    3. The rest want a code: one transaction for all of them (``_consume``).

    Raises ``Refused`` (books_away) when nobody can be answered.
    """
    known = await devices.look_up(books, knocks, now=now)
    answers = [_judge(books.keyring, knock, each, now) for knock, each in zip(knocks, known, strict=True)]
    wanting = {
        each.device_id: each.product_id
        for each, answer in zip(known, answers, strict=True)
        if answer is None and each.device_id is not None and each.product_id is not None
    }
    consumed = await _consume(books, wanting, now=now) if wanting else {}
    return [answer or consumed[each.device_id or 0] for each, answer in zip(known, answers, strict=True)]


def _judge(keyring: Keyring, knock: Knock, known: Known, now: datetime) -> Answer | None:
    """The answer as far as it needs no code; None when it does.

    A stranger costs as much time as a device with a wrong secret, and is told the same.
    """
    sealed = known.sealed_secret
    about = f"{knock.product_key}/{knock.device_key}"
    secret = keyring.open(sealed, about) if sealed is not None else keyring.open_nothing()
    if not hmac.compare_digest(secret.encode(), knock.secret.encode()) or sealed is None:
        return _STRANGER
    if known.virtual:
        return Answer()
    if known.cut_off_until is not None:
        return Answer(refusal=used_up(knock.device_key, known.cut_off_until))
    if known.ends_at is None:
        return None
    if now < known.ends_at:
        return Answer(until=known.ends_at)
    if not known.auto_renewal or known.listed:
        return Answer(refusal=Refused(No.RENEWAL_OFF, device_key=knock.device_key))
    return None


async def _consume(books: Books, wanting: Mapping[int, int], *, now: datetime) -> dict[int, Answer]:
    """Give each of these devices (id → product id, in the order of their knocks) a code, as far as the codes reach.

    1. Lock their products and settle the renewals due: they come first (rule D5).
    2. Read under the lock where each device stands: another batch may have been faster.
    3. Take a range of codes per product, and write the new spans.
    4. Tell who was activated; refuse those for whom no code is left.
    """
    product_ids = sorted(set(wanting.values()))
    async with books.transaction() as books:
        locked = {product.id: product for product in await settle(books, product_ids, now=now)}
        stand = await activations.latest(books, list(wanting))
        ranges = await lots.open_ranges(books, list(locked))
        answers = {
            device_id: answer
            for device_id, product_id in wanting.items()
            if (answer := _without_code(locked.get(product_id), stand[device_id], now)) is not None
        }
        takers: dict[int, list[Latest]] = {}
        for device_id, product_id in wanting.items():
            if device_id not in answers:
                takers.setdefault(product_id, []).append(stand[device_id])
        short = []
        for product_id, latest in takers.items():
            granted = await _activate(books, locked[product_id], latest, ranges.get(product_id, []), now=now)
            answers |= granted
            short += [product_id] if len(granted) < len(latest) else []
        if short:
            shortage = await lots.shortage(books, short, now=now)
            for product_id in short:
                refused = (each.device_id for each in takers[product_id] if each.device_id not in answers)
                answers |= dict.fromkeys(refused, Answer(refusal=shortage[product_id].refusal))
    return answers


def _without_code(product: LockedProduct | None, stands: Latest, now: datetime) -> Answer | None:
    """What the books, read under the lock, answer without consuming; None when it takes a code."""
    if product is None or stands.deleted:
        return _STRANGER
    if stands.ends_at is None:
        return None
    if now < stands.ends_at:
        return Answer(until=stands.ends_at)
    if not (product.auto_renewal and stands.renews):
        return Answer(refusal=Refused(No.RENEWAL_OFF, device_key=stands.device_key))
    return None


async def _activate(
    books: Books, product: LockedProduct, takers: Sequence[Latest], ranges: Sequence[Range], *, now: datetime
) -> dict[int, Answer]:
    """Consume codes of one product for as many of these devices as there are codes, the first ones first."""
    takings = take(ranges, len(takers), at=now)
    if not takings or product.term is None:
        return {}
    ends_at = product.term.ends_at(now)
    consumed = [
        Consumption(
            taker.device_id, taker.device_key, number, taker.ordinal + 1, _reason(taker, product.renewal_policy)
        )
        for taker, number in zip(takers, _numbers(takings), strict=False)
    ]
    await activations.consume(books, product.id, consumed, starts_at=now, ends_at=ends_at)
    await lots.take_from(books, [(product.id, taking) for taking in takings])
    if ends_at <= product.renewed_until:  # this clock is behind the one that settled renewals last
        await products.set_renewed_until(books, product.id, ends_at - _INSTANT)
    await events.tell(books, _activated(product, consumed, ends_at, now), now=now)
    answer = Answer(until=ends_at)
    return {each.device_id: answer for each in consumed}


def _activated(
    product: LockedProduct, consumed: Sequence[Consumption], ends_at: datetime, now: datetime
) -> list[Happening]:
    """What is told of them: one happening for each reason, with devices and numbers in the same order."""
    by_reason: dict[Reason, list[Consumption]] = {}
    for each in consumed:
        by_reason.setdefault(each.reason, []).append(each)
    return [
        Happening(
            Kind.DEVICES_ACTIVATED,
            product.account_id,
            product.product_key,
            {
                "reason": reason.name.lower(),
                "starts_at": now,
                "ends_at": ends_at,
                "count": len(those),
                "device_keys": [each.device_key for each in those],
                "numbers": [each.number for each in those],
            },
        )
        for reason, those in by_reason.items()
    ]


def _numbers(takings: Sequence[Taking]) -> list[int]:
    return [taking.first_number + n for taking in takings for n in range(taking.quantity)]


def _reason(taker: Latest, policy: RenewalPolicy) -> Reason:
    if taker.ordinal == 0:
        return Reason.FIRST
    return Reason.RENEWAL if policy is RenewalPolicy.ON_CONNECT else Reason.REACTIVATION
