"""The trade as the rules tell it, in plain Python: what is true at every instant, whoever looks and whenever.

Spans end here at the exact instant at which they end, one after the other. The real books write that down whenever a
sweep, a knock or an assignment comes by; they must come to the same.
"""

import heapq
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tests.simulation.model.terms import CATALOGUE, Allowance

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


class No(Exception):
    """The rules say no; ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Secret(str):
    """Stands for a secret that licet makes up: the real one is learnt from its answer."""

    __slots__ = ()


@dataclass(frozen=True)
class Span:
    number: int
    start: datetime
    end: datetime
    by: str  # "knock" or "renewal"


@dataclass
class Stock:
    """A run of code numbers of a product."""

    first: int
    quantity: int
    use_by: datetime | None
    consumed: int = 0

    def left(self, at: datetime) -> int:
        lost = self.use_by is not None and self.use_by <= at
        return 0 if lost else self.quantity - self.consumed


@dataclass
class Device:
    key: str
    secret: str
    origin: str  # supplied, issued, reset, registered
    virtual: bool = False
    deleted: bool = False
    listed: bool = False
    spans: list[Span] = field(default_factory=list)
    lapses: dict[int, str] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)

    def active(self, at: datetime) -> bool:
        return bool(self.spans) and at < self.spans[-1].end


@dataclass
class Product:
    name: str
    account: str
    secret: Secret
    deleted: bool = False
    renews: bool = True
    on_connect: bool = False
    dynamic: bool = True
    package: str | None = None
    packages: list[tuple[datetime, str]] = field(default_factory=list)  # from when each one's messages count (A7)
    stocks: list[Stock] = field(default_factory=list)
    devices: dict[str, Device] = field(default_factory=dict)
    due: list[tuple[datetime, str]] = field(default_factory=list)  # a heap: ends of spans of which nothing is decided

    @property
    def allowance(self) -> Allowance | None:
        return CATALOGUE[self.package] if self.package else None

    def consumed(self) -> int:
        return sum(stock.consumed for stock in self.stocks)

    def available(self, at: datetime) -> int:
        return sum(stock.left(at) for stock in self.stocks)

    def wants_codes(self) -> bool:
        """Its last device lapsed because there was none left."""
        lapses = [
            (device.spans[ordinal - 1].end, reason)
            for device in self.devices.values()
            for ordinal, reason in device.lapses.items()
        ]
        return not self.deleted and bool(lapses) and max(lapses)[1] == "no_code_available"

    def take(self, at: datetime) -> int | None:
        """The next code: what would be lost soonest, then the lowest number."""
        never = datetime.max.replace(tzinfo=UTC)
        for stock in sorted(self.stocks, key=lambda s: (s.use_by or never, s.first)):
            if stock.left(at):
                stock.consumed += 1
                return stock.first + stock.consumed - 1
        return None

    def begin(self, device: Device, number: int, start: datetime, by: str) -> Span:
        assert self.allowance is not None
        span = Span(number, start, self.allowance.end_of(start), by)
        device.spans.append(span)
        heapq.heappush(self.due, (span.end, device.key))
        return span

    def expire(self, device: Device, at: datetime) -> None:
        """A span ends: the next code follows at that instant, or none does, for a reason (D1 to D4)."""
        reason = (
            "deleted" if device.deleted
            else "renewal_off" if device.listed or device.virtual or not self.renews
            else "on_connect" if self.on_connect
            else None
        )  # fmt: skip
        number = self.take(at) if reason is None else None
        if number is not None:
            self.begin(device, number, at, "renewal")
        else:
            device.lapses[len(device.spans)] = reason or "no_code_available"


@dataclass
class Lot:
    account: str
    package: str
    quantity: int
    product: str | None
    use_by: datetime | None
    credited: datetime
    assigned: int = 0

    def unassigned(self, at: datetime) -> int:
        lost = self.use_by is not None and self.use_by <= at
        return 0 if lost else self.quantity - self.assigned


@dataclass
class World:
    """Everything there is. ``held``: the secret that a device, or with no device the product's maker, goes by."""

    accounts: dict[str, str] = field(default_factory=dict)  # name → kind
    lots: dict[tuple[str, str], Lot] = field(default_factory=dict)  # (account, order) → lot
    products: dict[str, Product] = field(default_factory=dict)
    held: dict[tuple[str, str | None], str] = field(default_factory=dict)
    last_expiry: datetime = LONG_AGO
    latest: datetime = LONG_AGO  # the clock that was furthest ahead
    secrets_made: int = 0

    def clone(self) -> "World":
        return replace(
            self,
            accounts=dict(self.accounts),
            lots={key: replace(lot) for key, lot in self.lots.items()},
            products={name: _clone(product) for name, product in self.products.items()},
            held=dict(self.held),
        )

    def advance(self, at: datetime) -> None:
        """Let time pass up to that instant: every span that ends by then ends, earliest first, then by DK (D5)."""
        for product in self.products.values():
            while not product.deleted and product.due and product.due[0][0] <= at:
                end, key = heapq.heappop(product.due)
                product.expire(product.devices[key], end)
                self.last_expiry = max(self.last_expiry, end)

    def new_secret(self) -> Secret:
        self.secrets_made += 1
        return Secret(f"secret {self.secrets_made}")

    def product(self, name: str, by: str | None = None) -> Product:
        """A product as somebody of the account ``by`` (None: the operator) sees it."""
        product = self.products.get(name)
        if product is None or product.deleted or by not in (None, product.account):
            raise No("not_found")
        return product

    def unassigned(self, account: str, at: datetime, package: str | None = None) -> int:
        return sum(
            lot.unassigned(at)
            for lot in self.lots.values()
            if lot.account == account and package in (None, lot.package)
        )

    def unassigned_alike(self, product: Product, at: datetime) -> int:
        """Unassigned codes that could go to this product."""
        return sum(
            lot.unassigned(at)
            for lot in self.lots.values()
            if lot.account == product.account and product.allowance in (None, CATALOGUE[lot.package])
        )


def _clone(product: Product) -> Product:
    return replace(
        product,
        packages=list(product.packages),
        stocks=[replace(stock) for stock in product.stocks],
        devices={
            key: replace(device, spans=list(device.spans), lapses=dict(device.lapses), nonces=set(device.nonces))
            for key, device in product.devices.items()
        },
        due=list(product.due),
    )


def near_expiry(world: World, account: str, at: datetime) -> int:
    """Devices with 30 days or less left (D6)."""
    return sum(
        not device.deleted and device.active(at) and device.spans[-1].end <= at + timedelta(days=30)
        for product in world.products.values()
        if product.account == account and not product.deleted
        for device in product.devices.values()
    )
