"""Everything together: real books, a real server, real connections, and what happens when one of them dies."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from doors.broker.devices import Broker, Dial, until
from doors.broker.sold import Clock, Sold, at_the_door, sell
from nats.aio.client import Client

from licet.accounts import PLATFORM
from licet.broker.door import Door
from licet.enrol import delete_device, delete_product, reset_device
from licet.keyring import Keyring
from licet.postgres import activations
from licet.postgres.books import Books
from licet.postgres.migrate import migrate
from licet.run.postgres_engine import Postgres

REFUSED = 5


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sold(books: Books) -> Sold:
    return await sell(books, codes=2, devices=3)


@pytest.fixture
async def door(broker: Broker, books: Books, clock: Clock) -> AsyncIterator[Door]:
    async with at_the_door(broker, books, clock) as door:
        yield door


async def test_c1_c2_as_many_devices_come_in_as_there_are_codes(
    door: Door, sold: Sold, broker: Broker, dial: Dial
) -> None:
    knocks = [await sold.knock(dial, broker, device_key) for device_key in sold.secrets]
    assert [code for _, code in knocks] == [0, 0, REFUSED]
    assert door.gate.tally == {"admitted": 2, "no_code_available": 1}
    await until(lambda: door.presence.counts() == {sold.product_key: 2})
    # Every later connect inside the span costs nothing.
    _, code = await sold.knock(dial, broker, "dev0000")
    assert code == 0


async def test_c1_1000_devices_knock_at_once_on_600_codes_at_two_licets(
    books: Books, broker: Broker, dial: Dial, clock: Clock
) -> None:
    sold = await sell(books, codes=600, devices=1000)
    async with at_the_door(broker, books, clock) as one, at_the_door(broker, books, clock) as two:
        knocks = await asyncio.gather(*(sold.knock(dial, broker, device_key) for device_key in sold.secrets))
        assert Counter(code for _, code in knocks) == {0: 600, REFUSED: 400}
        tally = one.gate.tally + two.gate.tally
        assert tally == {"admitted": 600, "no_code_available": 400}
        assert min(one.gate.tally.total(), two.gate.tally.total()) > 100
    spans = [
        span for device_key in sold.secrets for span in await activations.history(books, sold.product_key, device_key)
    ]
    assert sorted(span.number for span in spans) == list(range(1, 601))


async def test_c1_one_device_knocks_50_times_at_once(
    door: Door, sold: Sold, broker: Broker, books: Books, dial: Dial
) -> None:
    async def knock() -> None:
        device = await dial(broker)
        await device.connect(f"{sold.product_key}-dev0000", f"{sold.product_key}/dev0000", sold.secrets["dev0000"])

    # The server lets one session of a client id live, so most of these are hung up on; what counts is the code.
    await asyncio.gather(*(knock() for _ in range(50)), return_exceptions=True)
    assert [span.number for span in await activations.history(books, sold.product_key, "dev0000")] == [1]


async def test_c6_a_deleted_device_is_hung_up_and_stays_out(
    door: Door, sold: Sold, broker: Broker, books: Books, dial: Dial, clock: Clock
) -> None:
    device, _ = await sold.knock(dial, broker, "dev0000")
    other, _ = await sold.knock(dial, broker, "dev0001")
    await delete_device(books, sold.product_key, "dev0000", by=PLATFORM, now=clock())
    door.relay.nudge()
    await device.hung_up(within=2)
    assert (await sold.knock(dial, broker, "dev0000"))[1] == REFUSED
    await other.ping()


async def test_c6_a_reset_device_is_hung_up_and_returns_with_its_new_secret(
    door: Door, sold: Sold, broker: Broker, books: Books, dial: Dial, clock: Clock
) -> None:
    device, _ = await sold.knock(dial, broker, "dev0000")
    secret = await reset_device(books, sold.product_key, "dev0000", by=PLATFORM, now=clock())
    await device.hung_up(within=2)
    assert (await sold.knock(dial, broker, "dev0000"))[1] == REFUSED
    sold.secrets["dev0000"] = secret
    assert (await sold.knock(dial, broker, "dev0000"))[1] == 0


async def test_c6_the_devices_of_a_deleted_product_are_hung_up(
    door: Door, sold: Sold, broker: Broker, books: Books, dial: Dial, clock: Clock
) -> None:
    devices = [(await sold.knock(dial, broker, device_key))[0] for device_key in ("dev0000", "dev0001")]
    await delete_product(books, sold.product_key, by=PLATFORM, now=clock())
    for device in devices:
        await device.hung_up(within=2)
    assert (await sold.knock(dial, broker, "dev0000"))[1] == REFUSED


async def test_d2_a_session_ends_with_its_span_also_when_licets_clock_is_ahead(
    door: Door, sold: Sold, broker: Broker, dial: Dial, clock: Clock
) -> None:
    await sold.knock(dial, broker, "dev0000")
    clock.forward(timedelta(days=364, hours=23, minutes=59, seconds=58))
    device, code = await sold.knock(dial, broker, "dev0000")
    assert code == 0
    await device.ping()
    await device.hung_up(within=4)


async def restarted(broker: Broker) -> None:
    """kill -9, and a new server on the same ports and folder."""
    assert broker.engine.process is not None
    os.kill(broker.engine.process.pid, signal.SIGKILL)
    broker.engine.process.wait()
    await asyncio.to_thread(broker.engine.start)


async def test_after_a_kill_of_the_server_everything_works_again_without_help(
    door: Door, sold: Sold, broker: Broker, books: Books, dial: Dial, clock: Clock
) -> None:
    await sold.knock(dial, broker, "dev0000")
    await until(lambda: door.presence.online(sold.product_key, "dev0000"))
    for _ in range(3):
        await restarted(broker)
        await until(door.open.is_set)
        device, code = await sold.knock(dial, broker, "dev0001")
        assert code == 0
        await until(lambda: door.presence.counts() == {sold.product_key: 1})
        assert door.presence.online(sold.product_key, "dev0001")
    await delete_device(books, sold.product_key, "dev0001", by=PLATFORM, now=clock())
    await device.hung_up(within=2)


async def test_a_door_waits_for_a_server_that_is_not_there_yet(
    broker: Broker, books: Books, sold: Sold, dial: Dial, clock: Clock
) -> None:
    broker.engine.stop()
    starting = asyncio.create_task(asyncio.to_thread(broker.engine.start))
    async with at_the_door(broker, books, clock):
        await starting
        assert (await sold.knock(dial, broker, "dev0000"))[1] == 0


async def test_with_the_books_away_nobody_comes_in_and_then_everybody(
    broker: Broker, start_postgres: Callable[[], Postgres], dial: Dial, clock: Clock
) -> None:
    engine = start_postgres()
    await migrate(engine.url)
    async with Books.open(engine.url, Keyring({1: bytes(32)}, 1)) as books:
        sold = await sell(books, codes=2, devices=3)
        async with at_the_door(broker, books, clock):
            device, code = await sold.knock(dial, broker, "dev0000")
            assert code == 0
            engine.stop()
            assert (await sold.knock(dial, broker, "dev0001"))[1] == REFUSED
            await device.ping()  # who is in stays in
            engine.start()
            # Connections to the books are tried again at growing intervals, so not the first knock may be answered.
            for _ in range(20):
                if (await sold.knock(dial, broker, "dev0001"))[1] == 0:
                    return
                await asyncio.sleep(0.2)
            pytest.fail("the gate did not open again")


async def test_a_stopped_door_leaves_nothing_behind(
    broker: Broker, books: Books, sold: Sold, system: Client, clock: Clock
) -> None:
    tasks = asyncio.all_tasks()
    async with at_the_door(broker, books, clock):
        pass
    await until(lambda: asyncio.all_tasks() <= tasks)
    # The server needs a moment to notice.
    for _ in range(100):
        told = await system.request("$SYS.REQ.SERVER.PING.CONNZ", b'{"auth": true, "acc": "DEVICES"}')
        if b'"num_connections":0' in told.data:
            return
        await asyncio.sleep(0.01)
    pytest.fail(told.data.decode())
