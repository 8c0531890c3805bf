"""What the books say, held against the model."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tests.simulation.model.world import Device, Product, World, near_expiry
from tests.simulation.stage import Stage

from licet.lifecycle import DeviceState
from licet.postgres import accounts, devices, lots, products
from licet.postgres.books import Books, Row

_PRODUCTS = b"""
    SELECT p.product_key, p.deleted_at IS NOT NULL, p.auto_renewal, p.renewal_policy = 'on_connect',
           p.dynamic_authentication, k.name
    FROM products p LEFT JOIN packages k ON k.id = p.package_id"""
_DEVICES = b"""
    SELECT p.product_key, d.device_key, d.virtual, d.deleted_at IS NOT NULL,
           EXISTS (SELECT FROM no_renewals x WHERE x.device_id = d.id)
    FROM devices d JOIN products p ON p.id = d.product_id"""
_SPANS = b"""
    SELECT p.product_key, d.device_key, a.number, a.starts_at, a.ends_at, a.ordinal, l.reason
    FROM activations a
    JOIN devices d ON d.id = a.device_id
    JOIN products p ON p.id = d.product_id
    LEFT JOIN lapses l ON l.device_id = a.device_id AND l.ordinal = a.ordinal
    ORDER BY a.device_id, a.ordinal"""
_STOCKS = b"""
    SELECT p.product_key, r.first_number, r.quantity, r.use_by
    FROM ranges r JOIN products p ON p.id = r.product_id
    ORDER BY r.product_id, r.first_number"""
_LOTS = b"SELECT account_id, order_reference, quantity, assigned, use_by, credited_at FROM lots"


@dataclass(frozen=True)
class Facts:
    products: list[Row]
    devices: list[Row]
    spans: list[Row]
    stocks: list[Row]
    lots: list[Row]


async def read(books: Books) -> Facts:
    async with books.transaction() as held:
        return Facts(*[await held.all(query) for query in (_PRODUCTS, _DEVICES, _SPANS, _STOCKS, _LOTS)])


def differences(facts: Facts, stage: Stage, world: World, *, exact: bool) -> Iterator[str]:
    """Unless ``exact``, renewals and lapses may still be unwritten: nobody came by since."""
    keys = {stage.products[name]: product for name, product in world.products.items() if name in stage.products}
    for key, *settings in facts.products:
        product = keys.get(key)
        if product is None:
            yield f"there is a product {key} that nobody made"
            continue
        expected = [product.deleted, product.renews, product.on_connect, product.dynamic, product.package]
        if settings != expected:
            yield f"{product.name} is {settings}, not {expected}"
    stocks: dict[str, list[tuple[object, ...]]] = {}
    for key, *stock in facts.stocks:
        stocks.setdefault(key, []).append(tuple(stock))
    for key, product in keys.items():
        numbered = [(each.first, each.quantity, each.use_by) for each in product.stocks]
        if stocks.get(key, []) != numbered:
            yield f"codes of {product.name}: {stocks.get(key, [])}, not {numbered}"
    yield from _devices(facts, keys, exact=exact)
    yield from _lots(facts, stage, world)


def _devices(facts: Facts, keys: dict[str, Product], *, exact: bool) -> Iterator[str]:
    written: dict[tuple[str, str], list[Row]] = {}
    for key, device_key, *span in facts.spans:
        written.setdefault((key, device_key), []).append(tuple(span))
    there = {(key, device_key): tuple(flags) for key, device_key, *flags in facts.devices}
    for key, product in keys.items():
        for device in product.devices.values():
            flags = there.pop((key, device.key), None)
            expected = (device.virtual, device.deleted, device.listed)
            if flags != expected:
                yield f"{product.name}/{device.key} (virtual, deleted, listed) is {flags}, not {expected}"
            wrong = _spans(written.get((key, device.key), []), device, exact=exact and not product.deleted)
            if wrong:
                yield f"{product.name}/{device.key}: {wrong}"
    for key, device_key in there:
        if key in keys:
            yield f"{keys[key].name}/{device_key} is in the books, and nobody entered it"


def _spans(written: list[Row], device: Device, *, exact: bool) -> str | None:
    expected = [(span.number, span.start, span.end) for span in device.spans]
    actual = [(number, start, end) for number, start, end, _, _ in written]
    lapses = {ordinal: reason for *_, ordinal, reason in written if reason is not None}
    missing = device.spans[len(actual) :]
    if actual != expected[: len(actual)]:
        at = next(n for n, pair in enumerate(zip(actual, [*expected, None], strict=False)) if pair[0] != pair[1])
        return f"code and span {at + 1} {_said(actual, at)}, not {_said(expected, at)}"
    if missing and (exact or any(span.by == "knock" for span in missing)):
        return f"{len(missing)} spans are missing, the first {_said(expected, len(actual))}"
    if exact and lapses != device.lapses:
        return f"lapses {lapses}, not {device.lapses}"
    if not lapses.items() <= device.lapses.items():
        return f"lapses {lapses}, not among {device.lapses}"
    return None


def _said(spans: list[tuple[int, datetime, datetime]], at: int) -> str:
    if at >= len(spans):
        return "is none"
    number, start, end = spans[at]
    return f"is code {number} from {start} to {end}"


def _lots(facts: Facts, stage: Stage, world: World) -> Iterator[str]:
    """Lots that were credited at one instant are alike: which of them is assigned first nobody promises."""
    names = {account_id: name for name, account_id in stage.accounts.items()}
    there = {(names[account_id], order) for account_id, order, *_ in facts.lots}
    if there != world.lots.keys():
        yield f"orders credited: {sorted(there)}, not {sorted(world.lots)}"
        return
    actual: Counter[tuple[object, ...]] = Counter()
    expected: Counter[tuple[object, ...]] = Counter()
    for account_id, order, quantity, assigned, use_by, credited in facts.lots:
        lot = world.lots[names[account_id], order]
        actual[lot.account, lot.package, use_by, credited] += assigned
        expected[lot.account, lot.package, lot.use_by, lot.credited] += lot.assigned
        if quantity != lot.quantity:
            yield f"{order} has {quantity} codes, not {lot.quantity}"
    for group in actual.keys() | expected.keys():
        if actual[group] != expected[group]:
            yield f"assigned of what was credited at {group[3]} to {group[0]}: {actual[group]}, not {expected[group]}"


async def miscounted(stage: Stage, world: World, now: datetime, *, behind: bool) -> list[str]:
    """The counters that people see (B1 to B3, D6), once everything due is written.

    Behind another clock a device may have several spans that are still to end; then near expiry counts each of them.
    """
    wrong = []
    sums: Counter[tuple[str, str]] = Counter()
    for name, key in stage.products.items():
        shown, product = await products.get(stage.books, key, now=now), world.products[name]
        if (shown is None) != product.deleted:
            wrong.append(f"{name} is {'there' if shown else 'gone'}")
        if shown is None:
            continue
        counted, expected = (shown.codes.available, shown.codes.consumed), (product.available(now), product.consumed())
        if counted != expected or shown.codes.total != sum(expected):
            wrong.append(f"{name} shows (available, consumed) {counted}, not {expected}")
        sums[product.account, "total"] += shown.codes.total
        sums[product.account, "consumed"] += shown.codes.consumed
        for device in product.devices.values():
            wrong += await _misstated(stage, product, device, now)
    for name, account_id in stage.accounts.items():
        account = await accounts.codes(stage.books, account_id, now=now)
        codes = account.codes
        near = near_expiry(world, name, now) if not behind else account.near_expiry
        seen = (
            account.codes.total - account.unassigned,
            account.codes.consumed,
            account.unassigned,
            account.near_expiry,
        )
        unassigned = world.unassigned(name, now)
        adds_up = (sums[name, "total"], sums[name, "consumed"], unassigned, near)
        if seen != adds_up or codes.available + codes.consumed != codes.total:
            wrong.append(f"{name} shows (in products, consumed, unassigned, near expiry) {seen}, not {adds_up}")
        if sum(quantity for _, quantity in await lots.unassigned(stage.books, account_id, now=now)) != unassigned:
            wrong.append(f"the unassigned packages of {name} are not its {unassigned} unassigned codes")
    return wrong


async def _misstated(stage: Stage, product: Product, device: Device, now: datetime) -> list[str]:
    shown = await devices.get(stage.books, stage.products[product.name], device.key, now=now)
    if shown is None or device.deleted:
        return [] if shown is None and device.deleted else [f"{device.key} is {'there' if shown else 'gone'}"]
    seen = (shown.state is DeviceState.ACTIVE, shown.codes_consumed, shown.renews, shown.expires_at)
    expected = (
        device.virtual or device.active(now),
        len(device.spans),
        product.renews and not device.listed,
        device.spans[-1].end if device.spans else None,
    )
    return [] if seen == expected else [f"{device.key} shows {seen}, not {expected}"]
