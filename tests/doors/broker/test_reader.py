"""What devices say and are told is counted from the broker's streams: each message once, whoever reads it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from doors.broker.devices import Broker, Dial, connected, until
from doors.broker.metered import used
from doors.broker.sold import Clock, at_the_door, sell
from doors.eventually import eventually
from nats.aio.client import Client
from nats.js.api import StreamConfig

from licet.broker import lag, reader
from licet.broker.reader import Reader
from licet.broker.server import LICET
from licet.broker.streams import COUNTED, MESSAGES, UPLINK, make_streams
from licet.meter import claim
from licet.postgres import usage
from licet.postgres.books import Books


@asynccontextmanager
async def reading(broker: Broker, books: Books, **more: int) -> AsyncIterator[Reader]:
    """A reader at work, as each licet process has one."""
    one, stop = (
        Reader(books, lambda: datetime.now(UTC), urls=[broker.url], password=broker.password, **more),
        asyncio.Event(),
    )
    running = asyncio.create_task(one.run(stop))
    try:
        yield one
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await running


async def counted(server: Client, books: Books) -> None:
    """Return when all that the streams hold is counted."""

    async def left() -> int:
        lasts = [(await server.jetstream().stream_info(stream)).state.last_seq for stream in COUNTED]
        return sum(lasts) - sum([await usage.counted_until(books, stream) for stream in COUNTED])

    await eventually(left, lambda uncounted: uncounted == 0, within=30)


async def spoken(server: Client, product_key: str, count: int, devices: int = 5) -> None:
    """So many messages of devices lie in the server's own stream."""
    for number in range(count):
        subject = f"$MQTT.msgs.up.{product_key}.dev{number % devices:04}.t"
        await server.publish(subject, b"x" * 600, headers={"Nmqtt-Pub": "1"})
    await eventually(lambda: server.jetstream().stream_info(MESSAGES), lambda info: info.state.messages >= count)


async def test_what_a_device_says_is_counted(
    broker: Broker, books: Books, database_url: str, dial: Dial, server: Client
) -> None:
    sold = await sell(books, codes=2, devices=2, now=datetime.now(UTC))
    async with at_the_door(broker, books, Clock(datetime.now(UTC))):
        device, code = await sold.knock(dial, broker, "dev0000")
        assert code == 0
        for size in (0, 1, 512, 513, 1024, 1025):
            for qos in (0, 1):
                await device.publish(f"up/{sold.product_key}/dev0000/t", b"x" * size, qos)
        await device.publish(f"up/{sold.product_key}/dev0000/sys/heartbeat", b"", 1)
        await eventually(lambda: used(database_url), lambda found: found == {"dev0000": (20, 0)})
        await counted(server, books)
        assert await used(database_url) == {"dev0000": (20, 0)}


async def test_what_a_device_is_told_is_counted_with_it(
    broker: Broker, books: Books, database_url: str, server: Client
) -> None:
    """What did not come by MQTT has no second copy."""
    sold = await sell(books, codes=1, devices=1)
    await make_streams(server.jetstream())
    for subject in (f"$MQTT.msgs.down.{sold.product_key}.dev0000.t", f"up.{sold.product_key}.dev0000.gateway"):
        await server.jetstream().publish(subject, b"x" * 513)
    async with reading(broker, books):
        await counted(server, books)
    assert await used(database_url) == {"dev0000": (2, 2)}


async def test_readers_share_the_work_and_nothing_is_counted_twice(
    broker: Broker, books: Books, database_url: str, server: Client
) -> None:
    """Three at once in small runs; one that comes later, with the stream before it, finds nothing to count."""
    sold = await sell(books, codes=5, devices=5)
    await make_streams(server.jetstream())
    await spoken(server, sold.product_key, 2000)
    async with reading(broker, books, most=70), reading(broker, books, most=50), reading(broker, books, most=30):
        await counted(server, books)
    everybody = {f"dev{n:04}": (800, 0) for n in range(5)}
    assert await used(database_url) == everybody
    async with reading(broker, books) as late:
        await until(lambda: set(late.lag.values()) == {(0, 0.0)})
    assert await used(database_url) == everybody
    assert await usage.quarantined(books, after=None, limit=10) == []


async def test_a_claim_that_was_left_behind_is_counted(
    broker: Broker, books: Books, database_url: str, server: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reader died with it; another comes to it in half a minute, though nothing new is said."""
    sold = await sell(books, codes=5, devices=5)
    await make_streams(server.jetstream())
    await spoken(server, sold.product_key, 100)
    died_at = datetime.now(UTC) - timedelta(minutes=1)
    assert await claim(books, MESSAGES, last_sequence=100, most=60, claimed_by="who died", now=died_at)
    assert await usage.counted_until(books, MESSAGES) == 0
    monkeypatch.setattr(reader, "LOOK_AGAIN_SECONDS", 0.1)
    async with reading(broker, books):
        await counted(server, books)
    assert await used(database_url) == {f"dev{n:04}": (40, 0) for n in range(5)}


async def test_what_is_gone_before_it_was_counted_is_passed_over(
    broker: Broker, books: Books, database_url: str, server: Client
) -> None:
    sold = await sell(books, codes=5, devices=5)
    await make_streams(server.jetstream())
    await spoken(server, sold.product_key, 500)
    await server.jetstream().purge_stream(MESSAGES, seq=251)
    async with reading(broker, books, most=100):
        await counted(server, books)
    assert await used(database_url) == {f"dev{n:04}": (100, 0) for n in range(5)}


async def test_what_no_device_can_be_named_for_is_kept(
    broker: Broker, books: Books, database_url: str, server: Client
) -> None:
    sold = await sell(books, codes=1, devices=1)
    await make_streams(server.jetstream())
    for of in (f"{sold.product_key}.stranger", sold.product_key, "Another.dev0000", f"{sold.product_key}.dev0000"):
        await server.jetstream().publish(f"up.{of}", b"x")
    await server.jetstream().publish(f"$MQTT.msgs.register.{sold.product_key}.dev0000", b"x")
    async with reading(broker, books):
        await counted(server, books)
    assert await used(database_url) == {"dev0000": (1, 0)}
    kept = await usage.quarantined(books, after=None, limit=10)
    names = {(each.reported["product_key"], each.reported["device_key"]) for each in kept}
    assert names == {(sold.product_key, "stranger"), (sold.product_key, ""), ("Another", "dev0000")}


async def test_the_server_may_be_away(broker: Broker, books: Books, database_url: str, server: Client) -> None:
    """What is acknowledged is counted when it is back."""
    sold = await sell(books, codes=5, devices=5)
    await make_streams(server.jetstream())
    await spoken(server, sold.product_key, 50)
    async with reading(broker, books):
        await counted(server, books)
        broker.engine.stop()
        broker.engine.start()
        async with connected(broker, LICET) as again:
            await spoken(again, sold.product_key, 50)
            await counted(again, books)
    assert await used(database_url) == {f"dev{n:04}": (40, 0) for n in range(5)}


async def test_a_lag_is_measured_and_said(
    broker: Broker, books: Books, server: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sold = await sell(books, codes=5, devices=5)
    await make_streams(server.jetstream())
    monkeypatch.setattr(lag, "LATE_SECONDS", 3.0)
    lags = lag.Lags(books, lambda: datetime.now(UTC).timestamp() + 5)
    await lags.measure(server.jetstream())
    assert set(lags.lag.values()) == {(0, 0.0)}
    await spoken(server, sold.product_key, 7)
    for _ in range(2):
        await lags.measure(server.jetstream())
    assert lags.lag[MESSAGES].messages == 7
    assert 5 <= lags.lag[MESSAGES].seconds < 60
    async with reading(broker, books):
        await counted(server, books)
    await lags.measure(server.jetstream())
    assert lags.lag[MESSAGES] == (0, 0.0)
    said = [record.getMessage() for record in caplog.records if record.name == lag.__name__]
    assert len(said) == 2
    assert "7 messages" in said[0]
    assert "caught up" in said[1]


async def test_a_stream_that_was_made_anew_is_said_once(
    broker: Broker, books: Books, server: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing tells its messages from those that were counted; somebody has to decide."""
    sold = await sell(books, codes=5, devices=5)
    await make_streams(server.jetstream())
    await spoken(server, sold.product_key, 50)
    async with reading(broker, books):
        await counted(server, books)
    await server.jetstream().delete_stream(MESSAGES)
    await make_streams(server.jetstream())
    await spoken(server, sold.product_key, 10)
    lags = lag.Lags(books, lambda: 0.0)
    for _ in range(2):
        await lags.measure(server.jetstream())
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert said.startswith("$MQTT_msgs ends at 10 though it was counted to 50")


async def test_streams_keep_messages_until_somebody_purges_them(
    server: Client, caplog: pytest.LogCaptureFixture
) -> None:
    jetstream = server.jetstream()
    await make_streams(jetstream)
    assert [(await jetstream.stream_info(stream)).config.max_age for stream in COUNTED] == [0, 0]
    config: StreamConfig = (await jetstream.stream_info(UPLINK)).config
    await jetstream.update_stream(config.evolve(max_age=3600.0))
    await make_streams(jetstream)
    assert "UPLINK drops messages after 3600 seconds" in caplog.text
