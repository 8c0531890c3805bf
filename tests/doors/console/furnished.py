"""A console with something to see in it: years of Acme's life, lived through the verbs."""

from datetime import datetime, timedelta

from doors.console.sitting import NOON, Console

from licet import enrol
from licet.accounts import PLATFORM
from licet.admit import admit
from licet.assign import assign
from licet.mint import credit, define_package
from licet.packages import Allowance, Package
from licet.products import Imported, Knock
from licet.units import Term

YEARS_AGO = NOON - timedelta(days=5 * 365)


async def furnish(console: Console) -> dict[str, str]:
    """Products in every state of stock; devices that are active, near expiry, lapsed, virtual and new. Name → PK."""
    five = await _package(console, "Five years", Term(60, 0))
    three = await _package(console, "Metering, 3 years", Term(36, 0))
    await _package(console, "Five years, more messages", Term(60, 0), messages=3000)
    keys = {}
    for name in ("Thermostat", "Smoke detector", "Water meter", "Gateway prototype"):
        product, _ = await enrol.create_product(
            console.books, account_id=console.acme, name=name, by=PLATFORM, now=YEARS_AGO
        )
        keys[name] = product.product_key
    await _credit(console, five, 520, "PO-2020-004")
    await _credit(console, three, 40, "PO-2020-005")
    await _assign(console, keys["Thermostat"], five, 120)
    await _assign(console, keys["Smoke detector"], five, 20)
    await _assign(console, keys["Water meter"], three, 3)
    await _connect(console, keys["Smoke detector"], range(19), at=NOON - timedelta(days=90))
    await _connect(console, keys["Water meter"], range(3), at=NOON - timedelta(days=3 * 365 + 9))
    for days in range(0, 40, 4):
        await _connect(console, keys["Thermostat"], [days], at=YEARS_AGO + timedelta(days=days))
    await _connect(console, keys["Thermostat"], range(100, 160), at=NOON - timedelta(days=30))
    new = [Imported("867726039999999"), Imported("DEBUG1", virtual=True)]
    await enrol.import_devices(console.books, keys["Thermostat"], new, by=PLATFORM, now=NOON)
    listed = [device_key(8), device_key(16)]
    await enrol.list_no_renewal(console.books, keys["Thermostat"], listed, renews=False, by=PLATFORM, now=NOON)
    return keys


def device_key(number: int) -> str:
    return f"8677260300{number:05}"


async def _package(console: Console, name: str, term: Term, messages: int = 1500) -> Package:
    allowance = Allowance(term, messages, 1, 7)
    return await define_package(console.books, name=name, allowance=allowance, by=PLATFORM, now=YEARS_AGO)


async def _credit(console: Console, package: Package, quantity: int, order: str) -> None:
    await credit(
        console.books,
        account_id=console.acme,
        product_key=None,
        package_id=package.id,
        quantity=quantity,
        order_reference=order,
        by=PLATFORM,
        now=YEARS_AGO,
    )


async def _assign(console: Console, product_key: str, package: Package, quantity: int) -> None:
    await assign(
        console.books,
        product_key=product_key,
        package_id=package.id,
        quantity=quantity,
        by=PLATFORM,
        now=YEARS_AGO,
    )


async def _connect(console: Console, product_key: str, numbers: range | list[int], *, at: datetime) -> None:
    new = [Imported(device_key(number)) for number in numbers]
    imported = await enrol.import_devices(console.books, product_key, new, by=PLATFORM, now=at)
    knocks = [Knock(product_key, key, secret) for key, secret in imported]
    assert all(answer.admitted for answer in await admit(console.books, knocks, now=at))
