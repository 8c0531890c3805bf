"""Explain: why a device is let in, or is not, with the facts behind it and the step that would change it."""

import contextlib
from dataclasses import dataclass
from datetime import datetime

from licet.accounts import By
from licet.activations import Lapse
from licet.allowances import used_up
from licet.lifecycle import DeviceState
from licet.postgres import activations, devices, lots, products
from licet.postgres.books import Books
from licet.products import Device, Knock, Product
from licet.refusals import Reason, Refused
from licet.renew import settle


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would happen if the device knocked now with its right secret.

    ``consumes``: whether that would cost a code. ``until``: the end of its span, for an active device.
    """

    admitted: bool
    consumes: bool
    until: datetime | None
    refusal: Refused | None
    sentence: str
    next_step: str
    facts: list[str]


_LAPSED = {
    Lapse.NO_CODE_AVAILABLE: "no code was left at that instant",
    Lapse.RENEWAL_OFF: "renewal was off",
    Lapse.ON_CONNECT: "its product renews when the device connects",
    Lapse.DELETED: "the device was deleted at that time",
}


class _ThatWasAll(Exception):
    """Ends a transaction in which something was only tried: nothing of it stays."""


async def explain(books: Books, product_key: str, device_key: str, *, by: By, now: datetime) -> Explanation:
    """Say what ``admit`` would answer, and why. Nothing is written.

    1. Find the device; what needs no code is answered at once.
    2. Try, in a transaction that is undone, what comes first when it wants one: the renewals that are due (rule D5).
    3. See what those leave.

    Raises ``Refused`` (not_found) for an unknown product or device.
    """
    product = await products.get(books, product_key, now=now)
    if product is None or not by.sees(product.account_id):
        raise Refused(Reason.NOT_FOUND, thing="product")
    device = await devices.get(books, product_key, device_key, now=now)
    if device is None:
        raise Refused(Reason.NOT_FOUND, thing="device")
    if device.virtual:
        facts = await _facts(books, product, device)
        return _let_in(f"{device_key} is the product's virtual device: it needs no code.", facts)
    (known,) = await devices.look_up(books, [Knock(product_key, device_key, secret="")], now=now)
    if known.cut_off_until is not None:
        return _refused(used_up(device_key, known.cut_off_until), await _facts(books, product, device))
    if device.state is DeviceState.ACTIVE:
        facts = await _facts(books, product, device)
        return _let_in(f"{device_key} is active: connecting costs nothing.", facts, until=device.expires_at)
    tried: list[Explanation] = []
    with contextlib.suppress(_ThatWasAll):
        async with books.transaction() as held:
            await settle(held, [product.id], now=now)
            tried.append(await _after_renewals(held, product_key, device_key, now=now))
            raise _ThatWasAll
    return tried[0]


async def _after_renewals(books: Books, product_key: str, device_key: str, *, now: datetime) -> Explanation:
    product = await products.get(books, product_key, now=now)
    device = await devices.get(books, product_key, device_key, now=now)
    if product is None or device is None:
        raise Refused(Reason.NOT_FOUND, thing="device")
    facts = await _facts(books, product, device)
    if device.state is DeviceState.ACTIVE:
        sentence = f"{device_key} is active: its next code has followed."
        return _let_in(sentence, facts, consumes=True, until=device.expires_at)
    if device.expires_at is not None and not device.renews:
        return _refused(Refused(Reason.RENEWAL_OFF, device_key=device_key), facts)
    if product.codes.available > 0:
        word = "for the first time" if device.expires_at is None else "again"
        return _let_in(f"{device_key} would be let in {word} and consume one code.", facts, consumes=True)
    shortage = await lots.shortage(books, [product.id], now=now)
    return _refused(shortage[product.id].refusal, facts)


async def _facts(books: Books, product: Product, device: Device) -> list[str]:
    codes = product.codes
    facts = [f"{product.name} has {codes.total} codes: {codes.available} available, {codes.consumed} consumed."]
    if product.package is not None:
        facts.append(f"Its package allows {product.package.allowance.in_words()}.")
    switch = "on" if product.auto_renewal else "off"
    facts.append(f"Automatic renewal of the product is {switch}, policy {product.renewal_policy.value}.")
    if product.auto_renewal and not device.renews:
        facts.append(f"{device.device_key} is on the list of devices that do not renew.")
    for span in await activations.history(books, product.product_key, device.device_key):
        fact = (
            f"Code {span.number} ({span.reason.name.lower()}, order {span.order_reference}) "
            f"from {span.starts_at:%Y-%m-%d %H:%M:%S} to {span.ends_at:%Y-%m-%d %H:%M:%S} UTC"
        )
        facts.append(f"{fact}; none followed: {_LAPSED[span.lapse]}." if span.lapse is not None else f"{fact}.")
    return facts


def _let_in(sentence: str, facts: list[str], *, consumes: bool = False, until: datetime | None = None) -> Explanation:
    return Explanation(True, consumes, until, None, sentence, "Nothing needs to be done.", facts)


def _refused(refusal: Refused, facts: list[str]) -> Explanation:
    return Explanation(False, False, None, refusal, refusal.sentence, refusal.next_step, facts)
