"""What `up --demo` runs beside licet: an account with a past, and devices that really connect by MQTT.

The past is lived through with the same verbs as the present, each told what time it was; so a demo looks like an
account that has been here for a while. Started again, it finds everything as it is and only lets the devices connect.
"""

import asyncio
import contextlib
import logging
import random
import signal
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiomqtt import Client, MqttError

from licet.accounts import PLATFORM, Kind, Mode
from licet.admit import admit
from licet.assign import assign
from licet.enrol import create_product, import_devices, open_account
from licet.mint import credit, define_package
from licet.packages import Allowance, Package
from licet.postgres import accounts, packages, products
from licet.postgres.books import Books
from licet.products import Imported, Knock, Product
from licet.run import key_file
from licet.run.clock import Clock
from licet.run.config import Settings
from licet.run.serve import free_codes
from licet.units import Term

_ACCOUNT = "Acme"
_DAY = timedelta(days=1)
_AGAIN_SECONDS = (5.0, 30.0)  # between two knocks of a device that was refused
_SAYS_SECONDS = (10.0, 40.0)  # between two messages of a device that is connected

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """A product of the demo, and the life it has had.

    ``codes``: bought so many days ago. ``devices``: imported; ``first``: how many days ago they first connected, evenly
    over that time; ``live``: how many of them connect by MQTT while the demo runs.
    """

    name: str
    package: str
    term: str
    messages: int
    codes: int
    bought_days_ago: int
    devices: int
    first: tuple[int, int]
    live: int


LINES = (
    Line("Thermostat", "Home, 5 years", "P5Y", 1500, 500, 330, 320, (320, 1), 12),
    Line("Door sensor", "Sensor, 1 year", "P1Y", 200, 60, 200, 66, (190, 2), 8),
    Line("Asset tracker", "Tracker, 90 days", "P90D", 3000, 240, 300, 90, (88, 2), 6),
    Line("Garden camera", "Home, 5 years", "P5Y", 1500, 40, 20, 9, (15, 1), 4),
)


def main(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    for asked in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(asked, stop.set)
    clock = Clock(settings.now, settings.now_began)
    async with Books.open(settings.database_url, key_file.load(settings.key_file), connections=2) as books:
        live = await live_through(books, settings, now=clock())
    log.info("The demo's books are ready; %d devices connect.", len(live))
    lives = [asyncio.create_task(_live(settings, knock)) for knock in live]
    await stop.wait()
    for life in lives:
        life.cancel()
    await asyncio.gather(*lives, return_exceptions=True)


async def live_through(books: Books, settings: Settings, *, now: datetime) -> list[Knock]:
    """Make the account and its past, unless it is there. Returns what the devices that connect show at the door."""
    by_name = {account.name: account for account in await accounts.page(books, search=_ACCOUNT, limit=100)}
    account = by_name.get(_ACCOUNT) or await open_account(
        books,
        name=_ACCOUNT,
        kind=Kind.ENTERPRISE,
        time_zone="Europe/Berlin",
        mode=Mode.CHARGE,
        data_center=settings.data_center,
        free=free_codes(settings),
        by=PLATFORM,
        now=now - 340 * _DAY,
    )
    there = {product.name: product for product in await products.page(books, account.id, limit=100, now=now)}
    live = []
    for line in LINES:
        product = there.get(line.name)
        lived = product is not None and product.codes.consumed > 0
        package = await _package(books, line, now=now)
        if product is None:
            bought = now - line.bought_days_ago * _DAY
            product, _ = await create_product(books, account_id=account.id, name=line.name, by=PLATFORM, now=bought)
        if not lived:
            await _buy(books, account.id, product, package, line, now=now - line.bought_days_ago * _DAY)
        keys = [f"{line.name.split()[0].upper()}{n:04}" for n in range(1, line.devices + 1)]
        imported = await import_devices(
            books, product.product_key, [Imported(key) for key in keys], by=PLATFORM, now=now - line.first[0] * _DAY
        )
        knocks = [Knock(product.product_key, device_key, secret) for device_key, secret in imported]
        if not lived:
            await _first_connects(books, knocks, line, now=now)
        live += knocks[-line.live :]
    return live


async def _package(books: Books, line: Line, *, now: datetime) -> Package:
    found = await packages.named(books, line.package)
    allowance = Allowance(Term.parse(line.term), line.messages, 1, 7)
    return found or await define_package(books, name=line.package, allowance=allowance, by=PLATFORM, now=now)


async def _buy(books: Books, account_id: str, product: Product, package: Package, line: Line, *, now: datetime) -> None:
    """Most are bought for the product; some are bought unassigned and assigned a week later."""
    later = line.codes // 4
    for quantity, to, order in ((line.codes - later, product.product_key, "A"), (later * 2, None, "B")):
        await credit(
            books,
            account_id=account_id,
            product_key=to,
            package_id=package.id,
            quantity=quantity,
            order_reference=f"PO-{line.name.upper().replace(' ', '-')}-{order}",
            by=PLATFORM,
            now=now,
        )
    await assign(
        books,
        product_key=product.product_key,
        package_id=package.id,
        quantity=later,
        by=PLATFORM,
        now=now + 7 * _DAY,
    )


async def _first_connects(books: Books, knocks: list[Knock], line: Line, *, now: datetime) -> None:
    """Devices come in one after the other, evenly over the time they had."""
    earliest, latest = line.first
    for n, knock in enumerate(knocks):
        days_ago = earliest - (earliest - latest) * n / max(1, len(knocks) - 1)
        await admit(books, [knock], now=now - days_ago * _DAY)


async def _live(settings: Settings, knock: Knock) -> None:
    """Connect, say something now and then, and come back whenever it is hung up; as real devices do."""
    chance = random.Random(knock.device_key)  # noqa: S311 - a demo's pace is no secret
    name = f"{knock.product_key}/{knock.device_key}"
    while True:
        with contextlib.suppress(MqttError):
            async with Client(
                settings.host,
                settings.mqtt_port,
                identifier=name.replace("/", "-"),
                username=name,
                password=knock.secret,
                timeout=10,
            ) as device:
                await device.subscribe(f"down/{name}/#")
                while True:
                    await device.publish(f"up/{name}/temperature", f"{chance.gauss(21, 2):.1f}", qos=1)
                    await asyncio.sleep(chance.uniform(*_SAYS_SECONDS))
        await asyncio.sleep(chance.uniform(*_AGAIN_SECONDS))
