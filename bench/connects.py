"""Connects per second through real MQTT: licet at the gate, against a bare callout that says yes to everyone.

Both answer the same nats-server, by turns; devices, server, books and licet share this machine. The bare callout is the
least that can be called the same work: it reads the ask, signs the two tokens and answers, from one process, with no
books, no batches and nobody keeping count. Each turn is so many devices that connect, are let in, and leave.

    python bench/connects.py [--connects 3000] [--rounds 5] [--at-once 200]
"""

import argparse
import asyncio
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import nats
from nats.aio.msg import Msg

from licet.accounts import PLATFORM, FreeCodes, Kind, Mode
from licet.broker.door import Door, Wiring
from licet.broker.gate import ASKED
from licet.broker.knock import read_ask
from licet.broker.server import LICET, server_config
from licet.broker.tokens import Signer, device_permissions, issuer_of, new_seed
from licet.broker.wire import settled
from licet.enrol import create_product, import_devices, open_account
from licet.keyring import Keyring
from licet.mint import credit, define_package
from licet.packages import Allowance
from licet.postgres.books import Books
from licet.postgres.migrate import migrate
from licet.products import Imported, Knock
from licet.run.nats_engine import Listen, Nats
from licet.run.ports import free_port
from licet.run.postgres_engine import Postgres
from licet.units import Term

PASSWORD = "bench"
KEYRING = {1: bytes(32)}
PAGE = 10_000

Device = tuple[str, str, str]


def clock() -> datetime:
    return datetime.now(UTC)


async def licet(nats_url: str, seed: str, database_url: str) -> None:
    async with Books.open(database_url, Keyring(KEYRING, 1)) as books:
        door = Door(Wiring([nats_url], PASSWORD, seed), books, clock)
        running = asyncio.create_task(door.run(asyncio.Event()))
        await door.open.wait()
        print("open", flush=True)
        await running


async def bare(nats_url: str, seed: str) -> None:
    server, signer = await nats.connect(nats_url, user=LICET, password=PASSWORD), Signer(seed)

    async def yes(ask: Msg) -> None:
        heard = read_ask(ask.data, ask.reply, 0)
        assert heard is not None
        caller, knock = heard
        assert isinstance(knock, Knock)
        permissions = device_permissions(knock.product_key, knock.device_key)
        now = time.time()
        await server.publish(
            ask.reply, signer.admit(caller.user_nkey, caller.server_id, permissions, issued=now, seconds=3600)
        )

    await server.subscribe(ASKED, cb=yes)
    await settled(server)
    print("open", flush=True)
    await asyncio.Event().wait()


@contextmanager
def answering(*told: str) -> Iterator[None]:
    """Another process at the gate, as long as the turn takes."""
    process = subprocess.Popen([sys.executable, __file__, "--answer", *told], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"open\n"
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def connects(port: int, devices: list[Device], at_once: int) -> float:
    """Let them all connect and leave, so many at once. How many per second."""
    codes: Counter[int] = Counter()
    waiting = iter(devices)

    async def one_after_the_other() -> None:
        for product_key, device_key, secret in waiting:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + b"".join(
                struct.pack(">H", len(word)) + word.encode()
                for word in (f"{product_key}-{device_key}", f"{product_key}/{device_key}", secret)
            )
            writer.write(bytes([0x10, len(body)]) + body)
            codes[(await reader.readexactly(4))[3]] += 1
            writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    took = time.perf_counter() - began
    assert codes == {0: len(devices)}, codes
    return len(devices) / took


async def stock(books: Books, devices: int) -> list[Device]:
    """A product with a code and a device for every knock."""
    allowance, now = Allowance(Term.parse("P1Y"), 1500, 1, 7), clock()
    account = await open_account(
        books, name="Acme", kind=Kind.ENTERPRISE, time_zone="UTC", mode=Mode.CHARGE, data_center="local",
        free=FreeCodes(0, 0, allowance), by=PLATFORM, now=now,
    )  # fmt: skip
    product, _ = await create_product(books, account_id=account.id, name="Thermostat", by=PLATFORM, now=now)
    package = await define_package(books, name="year", allowance=allowance, by=PLATFORM, now=now)
    await credit(
        books, account_id=account.id, product_key=product.product_key, package_id=package.id, quantity=devices,
        order_reference="order 1", by=PLATFORM, now=now,
    )  # fmt: skip
    made: list[tuple[str, str]] = []
    for begin in range(0, devices, PAGE):
        lines = [Imported(f"dev{n:09}") for n in range(begin, min(begin + PAGE, devices))]
        made += await import_devices(books, product.product_key, lines, by=PLATFORM, now=now)
    return [(product.product_key, device_key, secret) for device_key, secret in made]


async def compare(arguments: argparse.Namespace, folder: Path) -> None:
    seed, n = new_seed(), arguments.connects
    port = free_port("127.0.0.1", 0)
    listen = Listen("127.0.0.1", port, free_port("127.0.0.1", 0, besides=[port]))
    config = server_config(
        host=listen.host, nats_port=listen.nats_port, mqtt_port=listen.mqtt_port, store_dir=folder / "nats" / "streams",
        issuer=issuer_of(seed), password=PASSWORD,
    )  # fmt: skip
    server, books_engine = Nats(folder / "nats", config, listen), Postgres(folder / "postgres")
    server.start()
    books_engine.start()
    try:
        await migrate(books_engine.url)
        async with Books.open(books_engine.url, Keyring(KEYRING, 1)) as books:
            devices = await stock(books, n * (arguments.rounds + 1))
        known = devices[:n]
        told = ("licet", server.url, seed, books_engine.url)
        with answering(*told):
            await connects(listen.mqtt_port, known, arguments.at_once)
        turns: dict[str, Callable[[int], Awaitable[float]]] = {
            "bare": lambda _: turn(("bare", server.url, seed), known),
            "known": lambda _: turn(told, known),
            "first": lambda number: turn(told, devices[n * (number + 1) : n * (number + 2)]),
        }

        async def turn(told: tuple[str, ...], devices: list[Device]) -> float:
            with answering(*told):
                return await connects(listen.mqtt_port, devices, arguments.at_once)

        rates: dict[str, list[float]] = {name: [] for name in turns}
        for number in range(arguments.rounds):
            for name, take in turns.items():
                rates[name].append(await take(number))
    finally:
        server.stop()
        books_engine.stop()
    report(rates)


def report(rates: dict[str, list[float]]) -> None:
    for name, each in rates.items():
        print(f"{name:6} {statistics.median(each):7.0f} connects/s   ({min(each):.0f} to {max(each):.0f})")
    for name in ("known", "first"):
        ratios = [rate / bare for rate, bare in zip(rates[name], rates["bare"], strict=True)]
        print(f"P3 {name} / bare: {statistics.median(ratios):.2f}   ({min(ratios):.2f} to {max(ratios):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connects", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--answer", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    match arguments.answer:
        case None:
            with tempfile.TemporaryDirectory(prefix="licet-bench-") as folder:
                asyncio.run(compare(arguments, Path(folder)))
        case ["licet", *told]:
            asyncio.run(licet(*told))
        case ["bare", *told]:
            asyncio.run(bare(*told))


if __name__ == "__main__":
    main()
