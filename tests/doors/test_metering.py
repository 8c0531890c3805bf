"""kill -9 of anything while devices speak: the counters equal exactly what lies in the stream, and all that was
acknowledged lies there, once.

The seed is logged; LICET_TEST_SEED repeats a run, and LICET_TEST_KILLS makes it as long as one likes.
"""

import asyncio
import logging
import os
import random
import secrets
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nats
from doors.broker.metered import Used, used
from doors.commands.terminal import Terminal
from doors.eventually import eventually
from doors.running import PATIENCE, Up, opens, operator
from doors.shop import Shop, open_shop
from doors.talkers import Talker, talking
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.client import JetStreamContext

from licet.allowances import messages_in
from licet.broker.server import LICET
from licet.broker.streams import COUNTED, MESSAGES
from licet.keyring import Keyring
from licet.meter import claim, meter
from licet.postgres import usage
from licet.postgres.books import Books
from licet.postgres.usage import Claim, Tally
from licet.run.child import is_alive
from licet.run.data_folder import PASSWORD_FILE

KILLS = int(os.environ.get("LICET_TEST_KILLS", "7"))
SEED = int(os.environ.get("LICET_TEST_SEED", secrets.randbelow(1_000_000)))
PAUSES = (0.2, 2.5)

log = logging.getLogger(__name__)

DEVICES = 24

Stored = Counter[tuple[str, int, int]]  # device key, number and size of each message


async def test_e2_the_counters_are_what_was_acknowledged_whatever_is_killed(up: Callable[..., Up]) -> None:
    log.info("seed %d", SEED)
    one = up(processes="2")
    said = one.start()
    async with operator(said) as api:
        shop = await open_shop(said, api, codes=DEVICES, devices=DEVICES)
        talkers = [
            Talker(shop.product_key, names, 1 + n % 3 // 2, random.Random(f"{SEED} {n}"))
            for n, names in enumerate(shop.everybody)
        ]
        async with talking(said, talkers):
            killed = await _kill(one, random.Random(SEED))
            # However slow the machine: once nobody kills any more, every device gets its messages through.
            await eventually(lambda: _fewest_acknowledged(talkers), lambda fewest: fewest > KILLS, within=PATIENCE)
        async with _broker(one) as jetstream, _books(one) as books:
            await _counted(jetstream, books)
            stored = await _stored(jetstream, shop.product_key)
            log.info("killed %s, acknowledged %d", killed, sum(len(each.acknowledged) for each in talkers))
            _is_what_was_acknowledged(stored, talkers)
            assert await used(one.running()["database_url"]) == _worth(stored)
            await _cannot_be_counted_again(jetstream, books, shop)
            await _is_the_same_again(one, sum(up for up, _ in _worth(stored).values()))
        assert await used(one.running()["database_url"]) == _worth(stored)


async def _fewest_acknowledged(talkers: list[Talker]) -> int:
    return min(len(each.acknowledged) for each in talkers)


def _is_what_was_acknowledged(stored: Stored, talkers: list[Talker]) -> None:
    assert set(stored.values()) == {1}, [each for each, times in stored.items() if times > 1]
    for talker in talkers:
        numbers = {number for device_key, number, _ in stored if device_key == talker.names.device_key}
        assert talker.acknowledged <= numbers <= set(range(1, talker.number + 1))
        assert len(talker.acknowledged) > KILLS
        if talker.qos == 2:
            assert numbers - talker.acknowledged <= {talker.number}


def _worth(stored: Stored) -> Used:
    sums: Counter[str] = Counter()
    for device_key, _, size in stored:
        sums[device_key] += messages_in(size)
    return {device_key: (count, 0) for device_key, count in sums.items()}


async def _cannot_be_counted_again(jetstream: JetStreamContext, books: Books, shop: Shop) -> None:
    """Whoever asks for the stream from its beginning gets nothing, and a claim made up counts nothing."""
    last, now = (await jetstream.stream_info(MESSAGES)).state.last_seq, datetime.now(UTC) + timedelta(hours=1)
    assert await claim(books, MESSAGES, last_sequence=last, most=last, claimed_by="again", now=now) is None
    tallies = [Tally(shop.product_key, "dev0000", int(now.timestamp()) // 900, last, 0, 0)]
    assert not await meter(books, Claim(MESSAGES, 1, last), tallies, now=now)


async def _is_the_same_again(one: Up, messages: int) -> None:
    """`licet reconcile`, day by day."""
    today, found = datetime.now(UTC).date(), 0
    for day in (today - timedelta(days=1), today, today + timedelta(days=1)):
        typed = await asyncio.to_thread(Terminal(one.data), "reconcile", f"{day}")
        assert typed.status == 0, typed.out + typed.err
        found += int(typed.out.split()[2])
    assert found == messages


async def _kill(one: Up, chance: random.Random) -> list[str]:
    """One after another, now and then two at once; each of the three engines twice at least."""
    engines = ["licet", "postgres", "nats"]
    whom = engines * 2 + chance.choices(engines, k=max(0, KILLS - 6))
    chance.shuffle(whom)
    for name in whom:
        await asyncio.sleep(chance.uniform(*PAUSES) if chance.random() < 0.8 else 0.0)
        os.kill(await eventually(lambda name=name: _pid(one, name, chance), bool, within=PATIENCE), signal.SIGKILL)
    await asyncio.sleep(PAUSES[1])
    return whom


async def _pid(one: Up, name: str, chance: random.Random) -> int:
    """Somebody of that name who lives, or 0."""
    found = one.running()["pids"][name]
    pid: int = chance.choice(found) if isinstance(found, list) else found
    return pid if is_alive(pid) else 0


@asynccontextmanager
async def _broker(one: Up) -> AsyncIterator[JetStreamContext]:
    """The broker, when it is back."""
    password = (Path(one.data) / PASSWORD_FILE).read_text().strip()
    connection = await nats.connect(
        one.running()["nats_url"], user=LICET, password=password, max_reconnect_attempts=300, reconnect_time_wait=0.2
    )
    try:
        yield connection.jetstream()
    finally:
        await connection.close()


@asynccontextmanager
async def _books(one: Up) -> AsyncIterator[Books]:
    await eventually(lambda: asyncio.to_thread(opens, one.running()), bool, within=PATIENCE)
    async with Books.open(one.running()["database_url"], Keyring({1: bytes(32)}, 1)) as books:
        yield books


async def _counted(jetstream: JetStreamContext, books: Books) -> None:
    async def left() -> int:
        lasts = [(await jetstream.stream_info(stream)).state.last_seq for stream in COUNTED]
        return sum(lasts) - sum([await usage.counted_until(books, stream) for stream in COUNTED])

    await eventually(left, lambda uncounted: uncounted == 0, within=PATIENCE)


async def _stored(jetstream: JetStreamContext, product_key: str) -> Stored:
    """What lies in the stream, read one by one by a stock client."""
    subject = f"$MQTT.msgs.up.{product_key}.>"
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, headers_only=True)
    reading = await jetstream.pull_subscribe(subject, stream=MESSAGES, config=config)
    left = (await reading.consumer_info()).num_pending or 0
    stored: Stored = Counter()
    while left:
        for message in await reading.fetch(min(left, 1000), timeout=10):
            *_, device_key, _, number = message.subject.split(".")
            stored[device_key, int(number), int((message.headers or {})["Nats-Msg-Size"])] += 1
            left -= 1
    return stored
