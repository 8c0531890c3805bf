"""Messages per second from the broker's stream to exact, durable counters: P4.

By turns, over the same messages of so many devices in one stream, headers only:

- ``licet``: the reader as it runs in licet (so it knows devices that it has counted before), until all is counted in
  the books, folding meanwhile; and ``folded``, until the day's counters hold all of it.
- ``bare``: the same heads pulled over a bare socket in whole chunks, subject and size cut out by one pattern, with no
  books at all; and ``unread``, where nobody looks at them but to see how many there are.
- ``nats-py``: a stock client fetches them and does nothing with them.

    python bench/metering.py [--messages 400000] [--devices 100000] [--rounds 5]
"""

import argparse
import asyncio
import json
import random
import re
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import nats
import psycopg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext

from licet.accounts import PLATFORM, FreeCodes, Kind, Mode
from licet.allowances import messages_in
from licet.broker import reader as reader_module
from licet.broker.reader import Reader
from licet.broker.server import LICET, server_config
from licet.broker.streams import MESSAGES, make_streams
from licet.broker.tokens import issuer_of, new_seed
from licet.enrol import create_product, import_devices, open_account
from licet.keyring import Keyring
from licet.meter import fold
from licet.mint import credit, define_package
from licet.packages import Allowance
from licet.postgres import usage
from licet.postgres.books import Books
from licet.postgres.migrate import migrate
from licet.products import Imported
from licet.run.nats_engine import Listen, Nats
from licet.run.ports import free_port
from licet.run.postgres_engine import Postgres
from licet.run.serve import spare_the_collector
from licet.units import Term

PASSWORD = "bench"
KEYRING = Keyring({1: bytes(32)}, 1)
PAGE = 10_000
BATCH = 20_000
END = b"\r\n\r\n\r\n"
HEAD = re.compile(rb"HMSG ([^ ]+) [^\r]+\r\n(?:[^\r]+\r\n)*?Nats-Msg-Size: (\d+)\r\n\r\n\r\n")
SIZES = (1, 20, 100, 100, 200, 512, 513, 1024, 2000, 5120)


def clock() -> datetime:
    return datetime.now(UTC)


async def stock(books: Books, devices: int) -> str:
    """A product with so many devices; returns its key."""
    allowance, now = Allowance(Term.parse("P1Y"), 1500, 1, 7), clock()
    account = await open_account(
        books, name="Acme", kind=Kind.ENTERPRISE, time_zone="Europe/Berlin", mode=Mode.CHARGE, data_center="local",
        free=FreeCodes(0, 0, allowance), by=PLATFORM, now=now,
    )  # fmt: skip
    product, _ = await create_product(books, account_id=account.id, name="Thermostat", by=PLATFORM, now=now)
    package = await define_package(books, name="year", allowance=allowance, by=PLATFORM, now=now)
    await credit(
        books, account_id=account.id, product_key=product.product_key, package_id=package.id, quantity=10,
        order_reference="order 1", by=PLATFORM, now=now,
    )  # fmt: skip
    for begin in range(0, devices, PAGE):
        lines = [Imported(f"dev{n:09}") for n in range(begin, min(begin + PAGE, devices))]
        await import_devices(books, product.product_key, lines, by=PLATFORM, now=now)
    return product.product_key


async def fill(listen: Listen, product_key: str, devices: int, messages: int) -> int:
    """So many messages, as a device at QoS 1 would leave them. Returns what they are worth."""
    reader, writer = await asyncio.open_connection(listen.host, listen.nats_port)
    await reader.readline()
    writer.write(b'CONNECT {"user":"%b","pass":"%b","headers":true,"verbose":false}\r\n' % (LICET.encode(), b"bench"))
    chance, worth = random.Random(4), 0
    for begin in range(0, messages, 1000):
        for _ in range(begin, min(begin + 1000, messages)):
            size = chance.choice(SIZES)
            worth += messages_in(size)
            subject = b"$MQTT.msgs.up.%b.dev%09d.t" % (product_key.encode(), chance.randrange(devices))
            writer.write(b"HPUB %b 25 %d\r\nNATS/1.0\r\nNmqtt-Pub:1\r\n\r\n%b\r\n" % (subject, 25 + size, bytes(size)))
        writer.write(b"PING\r\n")
        await writer.drain()
        while await reader.readline() != b"PONG\r\n":
            pass
    writer.close()
    return worth


async def consumer(jetstream: JetStreamContext) -> str:
    made = await jetstream.add_consumer(
        MESSAGES,
        ConsumerConfig(
            ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL, headers_only=True, mem_storage=True,
            inactive_threshold=60,
        ),
    )  # fmt: skip
    return made.name


async def bare(listen: Listen, jetstream: JetStreamContext, messages: int, *, read: bool = True) -> None:
    next_ones = f"$JS.API.CONSUMER.MSG.NEXT.{MESSAGES}.{await consumer(jetstream)}".encode()
    reader, writer = await asyncio.open_connection(listen.host, listen.nats_port, limit=2**21)
    await reader.readline()
    login = b'{"user":"%b","pass":"%b","headers":true,"verbose":false,"no_responders":true}' % (
        LICET.encode(),
        b"bench",
    )
    writer.write(b"CONNECT %b\r\nSUB _INBOX.bare 1\r\n" % login)
    found = 0
    for begin in range(0, messages, BATCH):
        asked = json.dumps({"batch": min(BATCH, messages - begin), "no_wait": True}).encode()
        writer.write(b"PUB %b _INBOX.bare %d\r\n%b\r\n" % (next_ones, len(asked), asked))
        tail = b""
        while found < min(begin + BATCH, messages):
            chunk = tail + await reader.read(2**20)
            end = chunk.rfind(END) + len(END)
            found += len(HEAD.findall(chunk, 0, end)) if read else chunk.count(END, 0, end)
            tail = chunk[end:]
    writer.close()
    assert found == messages, found


async def nats_py(jetstream: JetStreamContext, messages: int) -> None:
    reading = await jetstream.pull_subscribe_bind(await consumer(jetstream), MESSAGES)
    left = messages
    while left:
        left -= len(await reading.fetch(min(1000, left), timeout=5))
    await reading.unsubscribe()


async def counted(reader: Reader, books: Books, last: int) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(reader.run(stop))
    while await usage.counted_until(books, MESSAGES) < last:  # noqa: ASYNC110 - the books tell nobody
        await asyncio.sleep(0.03)
    stop.set()
    await running


def forget(database_url: str) -> None:
    """Nothing was ever counted."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("truncate message_claims, message_streams, message_deltas, message_counts, stored_bytes")
        connection.execute("vacuum analyze message_deltas")
        connection.execute("checkpoint")


def sum_of(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "select sum(up) from (select up from message_deltas union all select up from message_counts) u"
        ).fetchone()
    assert row is not None
    return int(row[0])


def engines(folder: Path) -> tuple[Nats, Postgres]:
    port = free_port("127.0.0.1", 0)
    listen = Listen("127.0.0.1", port, free_port("127.0.0.1", 0, besides=[port]))
    config = server_config(
        host=listen.host, nats_port=listen.nats_port, mqtt_port=listen.mqtt_port, store_dir=folder / "nats" / "streams",
        issuer=issuer_of(new_seed()), password=PASSWORD,
    )  # fmt: skip
    return Nats(folder / "nats", config, listen), Postgres(folder / "postgres")


async def compare(arguments: argparse.Namespace, folder: Path) -> None:
    messages = arguments.messages
    server, engine = engines(folder)
    listen = server.listen
    server.start()
    engine.start()
    rates: dict[str, list[float]] = {}
    try:
        await migrate(engine.url)
        async with Books.open(engine.url, KEYRING) as books:
            product_key = await stock(books, arguments.devices)
            connection = await nats.connect(server.url, user=LICET, password=PASSWORD)
            jetstream = connection.jetstream()
            await make_streams(jetstream)
            worth = await fill(listen, product_key, arguments.devices, messages)
            while (await jetstream.stream_info(MESSAGES)).state.messages < messages:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.1)

            reader_module.LOOK_AGAIN_SECONDS = 0.0  # the books forget what it has seen
            reader = Reader(books, clock, urls=[server.url], password=PASSWORD)

            async def licet() -> None:
                await counted(reader, books, messages)

            async def folded() -> None:
                await fold(books, now=clock())

            turns: dict[str, Callable[[], Awaitable[None]]] = {
                "bare": lambda: bare(listen, jetstream, messages),
                "unread": lambda: bare(listen, jetstream, messages, read=False),
                "nats-py": lambda: nats_py(jetstream, messages),
                "licet": licet,
                "folded": folded,
            }
            for number in range(arguments.rounds + 1):
                forget(engine.url)
                for name, take in turns.items():
                    began = time.perf_counter()
                    await take()
                    if number:
                        rates.setdefault(name, []).append(time.perf_counter() - began)
                assert sum_of(engine.url) == worth
            await connection.close()
    finally:
        server.stop()
        engine.stop()
    report(rates, messages)


def report(seconds: dict[str, list[float]], messages: int) -> None:
    seconds["folded"] = [a + b for a, b in zip(seconds["licet"], seconds["folded"], strict=True)]
    for name, each in seconds.items():
        median = messages / statistics.median(each)
        print(f"{name:8} {median:8.0f} messages/s   ({messages / max(each):.0f} to {messages / min(each):.0f})")
    for name in ("licet", "folded"):
        for limit in ("bare", "unread", "nats-py"):
            ratios = [base / own for own, base in zip(seconds[name], seconds[limit], strict=True)]
            print(f"P4 {name} / {limit}: {statistics.median(ratios):.2f}   ({min(ratios):.2f} to {max(ratios):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    spare_the_collector()
    with tempfile.TemporaryDirectory(prefix="licet-bench-") as folder:
        asyncio.run(compare(arguments, Path(folder)))


if __name__ == "__main__":
    main()
