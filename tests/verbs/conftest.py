"""The cast of the verbs' tests: Acme, which Alice owns, with a product and a package; Mallory is of Globex."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from licet.accounts import PLATFORM, SCOPES, By, FreeCodes, Kind, Mode, Role
from licet.activations import Answer
from licet.admit import admit
from licet.enrol import create_product, import_devices, open_account
from licet.mint import credit, define_package
from licet.packages import Allowance, Package
from licet.postgres.books import Books
from licet.products import Imported, Knock
from licet.units import DayCount, Term

NOON = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
FREE = FreeCodes(10, 5, Allowance(Term(12, 0), 1500, 1, 7))


def alice(account_id: str) -> By:
    return By("per_alice", "Alice", Role.OWNER, account_id, "127.0.0.1", SCOPES[Role.OWNER])


def allowance(term: str = "P1Y", *, day_count: DayCount = DayCount.CALENDAR, messages: int = 1500) -> Allowance:
    return Allowance(Term.parse(term, day_count), messages, 1, 7)


@dataclass
class Trade:
    """An account with a product, and short ways to say what happens to them."""

    books: Books
    account_id: str
    product_key: str
    product_secret: str
    secrets: dict[str, str] = field(default_factory=dict)
    orders: int = 0

    @property
    def alice(self) -> By:
        return alice(self.account_id)

    async def package(self, term: str = "P1Y", **figures: int) -> Package:
        name = f"{term} {figures}"
        return await define_package(self.books, name=name, allowance=allowance(term, **figures), by=PLATFORM, now=NOON)

    async def credited(
        self,
        quantity: int,
        package: Package,
        *,
        to: str | None = "",
        use_by: datetime | None = None,
        now: datetime = NOON,
    ) -> None:
        """``to``: a product key; the cast's own product unless said; None leaves the codes unassigned."""
        self.orders += 1
        await credit(
            self.books,
            account_id=self.account_id,
            product_key=self.product_key if to == "" else to,
            package_id=package.id,
            quantity=quantity,
            order_reference=f"order {self.orders}",
            use_by=use_by,
            by=PLATFORM,
            now=now,
        )

    async def imported(self, *device_keys: str, to: str = "", virtual: bool = False, now: datetime = NOON) -> None:
        lines = [Imported(device_key, virtual=virtual) for device_key in device_keys]
        made = await import_devices(self.books, to or self.product_key, lines, by=self.alice, now=now)
        self.secrets |= dict(made)

    def knock(self, device_key: str) -> Knock:
        return Knock(self.product_key, device_key, self.secrets.get(device_key, "wrong"))

    async def knocks(self, *device_keys: str, now: datetime = NOON) -> list[Answer]:
        return await admit(self.books, [self.knock(device_key) for device_key in device_keys], now=now)


@pytest.fixture
async def trade(books: Books) -> Trade:
    account = await open_account(
        books,
        name="Acme",
        kind=Kind.ENTERPRISE,
        time_zone="Europe/Berlin",
        mode=Mode.CHARGE,
        data_center="local",
        free=FREE,
        by=PLATFORM,
        now=NOON,
    )
    product, secret = await create_product(books, account_id=account.id, name="Thermostat", by=PLATFORM, now=NOON)
    return Trade(books, account.id, product.product_key, secret)
