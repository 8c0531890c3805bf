"""Messages to devices: sent once, kept while a device is away, and known to be delivered when it says so."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from random import Random

import pytest
from doors.broker.devices import NOW, Broker, Device, Dial, connected, until
from doors.broker.open_gate import PK, SECRET
from doors.broker.sold import Clock, Sold, at_the_door, sell
from nats.aio.client import Client

from licet.accounts import PLATFORM
from licet.broker.direct import read
from licet.broker.door import Door
from licet.broker.downlink import Downlink
from licet.broker.gate import Gate
from licet.broker.server import LICET
from licet.broker.stored import Stored, session_of
from licet.broker.streams import MESSAGES, UPLINK, make_streams
from licet.messages import DeliveryState
from licet.messages import Downlink as Message
from licet.postgres import devices, downlinks
from licet.postgres.books import Books
from licet.send import send


@pytest.fixture
async def sold(books: Books) -> Sold:
    return await sell(books, codes=10, devices=3)


@pytest.fixture
async def door(broker: Broker, books: Books, sold: Sold) -> AsyncIterator[Door]:
    async with at_the_door(broker, books, Clock()) as door:
        yield door


async def tell(sold: Sold, device_key: str, payload: bytes, topic: str = "set/light") -> Message:
    return await send(sold.books, sold.product_key, device_key, topic=topic, payload=payload, by=PLATFORM, now=NOW)


async def comes_to(sold: Sold, device_key: str, message: Message, state: DeliveryState) -> Message:
    device = await devices.get(sold.books, sold.product_key, device_key, now=NOW)
    assert device is not None
    for _ in range(500):
        (found,) = await downlinks.page(sold.books, device.id, message_id=message.id, limit=1)
        if found.state is state:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"it is {found.state}, and not {state}")


async def back(sold: Sold, dial: Dial, broker: Broker, device_key: str) -> Device:
    """A device returns to its session."""
    device = await dial(broker)
    names = (f"{sold.product_key}-{device_key}", f"{sold.product_key}/{device_key}", sold.secrets[device_key])
    assert await device.connect(*names, clean=False) == 0
    return device


async def connect(sold: Sold, dial: Dial, broker: Broker, device_key: str, qos: int = 1) -> Device:
    """A device in a session that is kept, which listens to everything it is told."""
    device = await back(sold, dial, broker, device_key)
    assert await device.subscribe(f"down/{sold.product_key}/{device_key}/#", qos) == qos
    return device


async def nothing_more(device: Device) -> None:
    with pytest.raises(TimeoutError):
        await device.message(within=0.5)


async def test_a_message_is_delivered_and_known_to_be(door: Door, sold: Sold, broker: Broker, dial: Dial) -> None:
    device = await connect(sold, dial, broker, "dev0000")
    message = await tell(sold, "dev0000", b"on")
    assert message.state is DeliveryState.WAITING
    door.downlink.nudge()
    assert await device.message() == (f"down/{sold.product_key}/dev0000/set/light", b"on")
    assert (await comes_to(sold, "dev0000", message, DeliveryState.DELIVERED)).delivered_at == NOW
    await nothing_more(device)


async def test_a_message_waits_for_a_device_that_is_away(door: Door, sold: Sold, broker: Broker, dial: Dial) -> None:
    device = await connect(sold, dial, broker, "dev0000")
    await device.leave()
    messages = [await tell(sold, "dev0000", f"{n}".encode()) for n in range(30)]
    sent = [await comes_to(sold, "dev0000", message, DeliveryState.SENT) for message in messages]
    assert [each.sequence for each in sent] == sorted(each.sequence or 0 for each in sent)
    device = await back(sold, dial, broker, "dev0000")
    heard = [(await device.message())[1] for _ in messages]
    assert heard == [f"{n}".encode() for n in range(30)]
    for message in messages:
        await comes_to(sold, "dev0000", message, DeliveryState.DELIVERED)


async def test_who_listens_at_qos_0_hears_it_once_and_acknowledges_nothing(
    door: Door, sold: Sold, broker: Broker, dial: Dial
) -> None:
    device = await connect(sold, dial, broker, "dev0000", qos=0)
    message = await tell(sold, "dev0000", b"on")
    assert (await device.message())[1] == b"on"
    await nothing_more(device)
    await comes_to(sold, "dev0000", message, DeliveryState.SENT)


async def test_nobody_else_hears_it(door: Door, sold: Sold, broker: Broker, dial: Dial) -> None:
    other = await connect(sold, dial, broker, "dev0001")
    await comes_to(sold, "dev0000", await tell(sold, "dev0000", b"on"), DeliveryState.SENT)
    await nothing_more(other)


async def test_it_is_not_sent_again_by_whoever_comes_after_a_crash(broker: Broker, server: Client, sold: Sold) -> None:
    """The broker has it, and licet died before the books knew; however long ago that was."""
    jetstream = server.jetstream()
    await make_streams(jetstream)
    before = await tell(sold, "dev0000", b"before")
    lost, fresh = await tell(sold, "dev0000", b"on"), await tell(sold, "dev0001", b"off")
    downlink = Downlink(sold.books, lambda: NOW)
    subject = f"$MQTT.msgs.down.{sold.product_key}.dev0000.set.light"
    first = (await jetstream.stream_info(MESSAGES)).state.last_seq
    async with sold.books.transaction() as bound:
        await downlinks.begin(bound, [before.id, lost.id], after_sequence=first)
    for _ in range(300):  # of others, which are looked through
        await jetstream.publish(subject, b"another", headers={"Nmqtt-Pub": "1"})
    # Without the Nats-Msg-Id's window: the stream itself would let it in again.
    known = await jetstream.publish(subject, b"on", headers={"Nmqtt-Pub": "1", "Nats-Msg-Id": lost.id})
    config = (await jetstream.stream_info(MESSAGES)).config
    config.duplicate_window = 0.1
    await jetstream.update_stream(config)
    await asyncio.sleep(0.5)
    await downlink.send_some(server, jetstream)
    assert (await comes_to(sold, "dev0000", lost, DeliveryState.SENT)).sequence == known.seq
    assert (await comes_to(sold, "dev0000", before, DeliveryState.SENT)).sequence == known.seq + 1
    await comes_to(sold, "dev0001", fresh, DeliveryState.SENT)
    assert (await jetstream.stream_info(MESSAGES)).state.last_seq == known.seq + 2
    assert not await downlink.send_some(server, jetstream)


async def test_connections_that_break_at_any_instant_double_and_lose_nothing(broker: Broker, sold: Sold) -> None:
    """And the stream's own window for doubles is no help."""
    async with connected(broker, LICET) as server:
        jetstream = server.jetstream()
        await make_streams(jetstream)
        config = (await jetstream.stream_info(MESSAGES)).config
        config.duplicate_window = 0.1
        await jetstream.update_stream(config)
    said, dice, broken, breaks_after = [], Random(7), 0, 0.06
    while broken < 6:  # on a fast machine everything may be sent before it breaks: then it breaks sooner
        assert len(said) < 5_000
        said += [await tell(sold, f"dev000{n % 3}", f"{n}".encode()) for n in range(20)]
        async with connected(broker, LICET) as server:
            sending = asyncio.create_task(Downlink(sold.books, lambda: NOW).send_some(server, server.jetstream()))
            await asyncio.sleep(dice.uniform(0.0, breaks_after))
            await server.close()
            if isinstance(await _end(sending), Exception):
                broken += 1
            else:
                breaks_after *= 0.8
    await asyncio.sleep(0.3)
    async with connected(broker, LICET) as server:
        downlink = Downlink(sold.books, lambda: NOW)
        while await downlinks.waiting(sold.books, limit=1):
            await downlink.send_some(server, server.jetstream())
        stored, more = await read(server, MESSAGES, subject="$MQTT.msgs.down.>", most=10_000)
    assert not more
    assert sorted(each.headers["Nats-Msg-Id"] for each in stored) == sorted(each.id for each in said)


async def _end(sending: asyncio.Task[bool]) -> object:
    (ended,) = await asyncio.gather(sending, return_exceptions=True)
    return ended


async def test_many_processes_send_each_message_once(broker: Broker, server: Client, sold: Sold) -> None:
    jetstream = server.jetstream()
    await make_streams(jetstream)
    for n in range(50):
        await tell(sold, "dev0000", f"{n}".encode())
    downlinks_of = [Downlink(sold.books, lambda: NOW) for _ in range(4)]
    while any(await asyncio.gather(*(each.send_some(server, jetstream) for each in downlinks_of))):
        pass
    assert (await jetstream.stream_info(MESSAGES)).state.messages == 50


async def test_the_payload_leaves_the_books_when_the_broker_has_it(door: Door, sold: Sold) -> None:
    message = await tell(sold, "dev0000", b"a secret")
    await comes_to(sold, "dev0000", message, DeliveryState.SENT)
    assert await downlinks.waiting(sold.books, limit=1) == []


async def test_it_is_stored_once_and_not_as_uplink(door: Door, sold: Sold, server: Client) -> None:
    await comes_to(sold, "dev0000", await tell(sold, "dev0000", b"on"), DeliveryState.SENT)
    stored = {name: (await server.jetstream().stream_info(name)).state.messages for name in (MESSAGES, UPLINK)}
    assert stored == {MESSAGES: 1, UPLINK: 0}


async def test_what_nobody_overheard_the_session_still_knows(
    broker: Broker, server: Client, sold: Sold, dial: Dial, open_gate: Gate
) -> None:
    """licet was away while the device acknowledged. What was sent before the device listened is not said to be."""
    jetstream = server.jetstream()
    await make_streams(jetstream)
    downlink = Downlink(sold.books, lambda: NOW)
    early = await tell(sold, "dev0000", b"nobody listens yet")
    await downlink.send_some(server, jetstream)
    device = await dial(broker)
    assert await device.connect(f"{sold.product_key}-dev0000", f"{sold.product_key}/dev0000", SECRET, clean=False) == 0
    assert await device.subscribe(f"down/{sold.product_key}/dev0000/#", 1) == 1
    heard = await tell(sold, "dev0000", b"heard")
    await downlink.send_some(server, jetstream)
    assert (await device.message())[1] == b"heard"
    await device.leave()
    later = await tell(sold, "dev0000", b"later")
    await downlink.send_some(server, jetstream)
    sent = {}
    for message in (early, heard, later):
        found = await comes_to(sold, "dev0000", message, DeliveryState.SENT)
        assert found.sequence is not None
        sent[found.sequence] = found.topic
    stored = Stored()
    stored.open(server)
    assert await stored.acknowledged(sold.product_key, "dev0000", sent) == {sorted(sent)[1]}
    assert await stored.acknowledged(sold.product_key, "dev0002", sent) == set(), "it has no session"


async def test_a_message_waits_through_a_kill_of_the_server(broker: Broker, sold: Sold, dial: Dial) -> None:
    async with at_the_door(broker, sold.books, Clock()) as door:
        device = await connect(sold, dial, broker, "dev0000")
        await device.leave()
        message = await tell(sold, "dev0000", b"on")
        await comes_to(sold, "dev0000", message, DeliveryState.SENT)
        assert broker.engine.process is not None
        os.kill(broker.engine.process.pid, signal.SIGKILL)
        broker.engine.process.wait()
        await until(lambda: not door.open.is_set())
        during = await tell(sold, "dev0000", b"off")
        await asyncio.to_thread(broker.engine.start)
        async with asyncio.timeout(10):
            await door.open.wait()
        device = await back(sold, dial, broker, "dev0000")
        assert [(await device.message())[1] for _ in range(2)] == [b"on", b"off"]
        for each in (message, during):
            await comes_to(sold, "dev0000", each, DeliveryState.DELIVERED)


async def test_the_server_names_sessions_as_licet_thinks(
    open_gate: Gate, server: Client, broker: Broker, dial: Dial
) -> None:
    device = await dial(broker)
    assert await device.connect(f"{PK}-dev1", f"{PK}/dev1", SECRET, clean=False) == 0
    kept = await server.jetstream().get_last_msg("$MQTT_sess", f"$MQTT.sess.{session_of(PK, 'dev1')}")
    assert f'"{PK}-dev1"'.encode() in (kept.data or b"")
