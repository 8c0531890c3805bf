"""Acme has bought codes for its thermostats, and licet stands at the door with real books."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from doors.broker.devices import NOW, Broker, Device, Dial

from licet.accounts import PLATFORM, FreeCodes, Kind, Mode
from licet.broker.door import Door, Wiring
from licet.enrol import create_product, import_devices, open_account
from licet.mint import credit, define_package
from licet.packages import Allowance
from licet.postgres.books import Books
from licet.products import Imported
from licet.units import Term


@dataclass
class Sold:
    """A product with so many codes, and devices that were imported with their secrets."""

    books: Books
    product_key: str
    product_secret: str
    secrets: dict[str, str]

    async def knock(self, dial: Dial, broker: Broker, device_key: str) -> tuple[Device, int]:
        device = await dial(broker)
        code = await device.connect(
            f"{self.product_key}-{device_key}", f"{self.product_key}/{device_key}", self.secrets[device_key]
        )
        return device, code


async def sell(books: Books, *, codes: int, devices: int, term: str = "P1Y", now: datetime = NOW) -> Sold:
    allowance = Allowance(Term.parse(term), 1500, 1, 7)
    account = await open_account(
        books,
        name="Acme",
        kind=Kind.ENTERPRISE,
        time_zone="Europe/Berlin",
        mode=Mode.CHARGE,
        data_center="local",
        free=FreeCodes(0, 0, allowance),
        by=PLATFORM,
        now=now,
    )
    product, secret = await create_product(books, account_id=account.id, name="Thermostat", by=PLATFORM, now=now)
    package = await define_package(books, name="year", allowance=allowance, by=PLATFORM, now=now)
    await credit(
        books,
        account_id=account.id,
        product_key=product.product_key,
        package_id=package.id,
        quantity=codes,
        order_reference="order 1",
        by=PLATFORM,
        now=now,
    )
    lines = [Imported(f"dev{n:04}") for n in range(devices)]
    made = await import_devices(books, product.product_key, lines, by=PLATFORM, now=now)
    return Sold(books, product.product_key, secret, dict(made))


class Clock:
    """licet's now, which goes by itself only as far as it is put forward."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, span: timedelta) -> None:
        self.now += span


@asynccontextmanager
async def at_the_door(broker: Broker, books: Books, clock: Clock) -> AsyncIterator[Door]:
    door, stop = Door(Wiring([broker.url], broker.password, broker.seed), books, clock), asyncio.Event()
    running = asyncio.create_task(door.run(stop))
    try:
        async with asyncio.timeout(10):
            await door.open.wait()
        yield door
    finally:
        stop.set()
        with suppress(asyncio.CancelledError):
            async with asyncio.timeout(10):
                await running
