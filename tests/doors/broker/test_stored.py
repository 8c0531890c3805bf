"""What devices sent and were sent is read back, each message once and by time; and goes from the disks."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from doors.broker.devices import Broker, Device, Dial, connected, text
from doors.broker.open_gate import PK, SECRET
from doors.broker.sold import Clock, at_the_door, sell
from nats.aio.client import Client

from licet.accounts import PLATFORM
from licet.allowances import Direction
from licet.broker.gate import Gate
from licet.broker.server import LICET
from licet.broker.stored import RETAINED, Stored
from licet.broker.streams import MESSAGES, UPLINK, make_streams
from licet.keep import keep
from licet.messages import Place, StoredMessage, StoredPage
from licet.postgres import storage
from licet.postgres.books import Books
from licet.refusals import Reason, Refused
from licet.send import send
from licet.shifts import Shift, Shifts

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OTHER_PK = "RefrigeratX"


@pytest.fixture
async def stored(server: Client, open_gate: Gate) -> Stored:
    await make_streams(server.jetstream())
    stored = Stored()
    stored.open(server)
    return stored


@pytest.fixture
async def device(stored: Stored, broker: Broker, dial: Dial) -> Device:
    return await seat(dial, broker)


async def seat(dial: Dial, broker: Broker, device_key: str = "dev1", product_key: str = PK) -> Device:
    device = await dial(broker)
    assert await device.connect(f"{product_key}-{device_key}", f"{product_key}/{device_key}", SECRET) == 0
    return device


async def page(
    stored: Stored,
    *,
    device_key: str = "dev1",
    product_key: str = PK,
    direction: Direction | None = None,
    since: datetime = LONG_AGO,
    until: datetime | None = None,
    place: Place | None = None,
    limit: int = 50,
) -> StoredPage:
    return await stored.page(
        product_key, device_key, direction=direction, since=since, until=until, place=place, limit=limit
    )


async def everything(stored: Stored, *, limit: int = 50, direction: Direction | None = None) -> list[StoredMessage]:
    found: list[StoredMessage] = []
    place: Place | None = None
    for _ in range(100):
        one = await page(stored, limit=limit, place=place, direction=direction)
        assert len(one.messages) <= limit
        found += one.messages
        if (place := one.next_place) is None:
            return found
    raise AssertionError("it never ends")


async def say_down(server: Client, topic: str, payload: bytes) -> None:
    await server.jetstream().publish(f"$MQTT.msgs.down.{PK}.dev1.{topic}", payload, headers={"Nmqtt-Pub": "1"})


async def arrived(server: Client, messages: int) -> None:
    """At QoS 0 nobody says when a message lies in its stream."""
    for _ in range(1000):
        if (await server.jetstream().stream_info(UPLINK)).state.last_seq >= messages:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never arrived")


@pytest.mark.parametrize("limit", [1, 3, 7, 50])
async def test_each_message_is_there_once_and_by_time(
    stored: Stored, server: Client, device: Device, limit: int
) -> None:
    said = []
    for n in range(20):
        if n % 5 == 4:
            await say_down(server, "set", f"{n}".encode())
        else:
            await device.publish(f"up/{PK}/dev1/t{n}", f"{n}".encode(), n % 3 % 2)
            await arrived(server, n + 1 - n // 5)
        said.append(f"{n}".encode())
    found = await everything(stored, limit=limit)
    assert [each.payload for each in found] == said
    assert [each.at for each in found] == sorted(each.at for each in found)
    assert {each.qos for each in found} == {0, 1}
    assert [each.topic for each in found[:5]] == ["t0", "t1", "t2", "t3", "set"]
    down = await everything(stored, limit=limit, direction=Direction.DOWN)
    assert [each.payload for each in down] == [b"4", b"9", b"14", b"19"]
    up = await everything(stored, limit=limit, direction=Direction.UP)
    assert len(up) == 16
    assert {each.direction for each in up} == {Direction.UP}


async def test_qos_2_is_there_once(stored: Stored, device: Device) -> None:
    await device.send(0x34, text(f"up/{PK}/dev1/exact") + b"\x00\x07" + b"once")
    assert (await device.packet())[0] == 0x50
    await device.send(0x62, b"\x00\x07")
    assert (await device.packet())[0] == 0x70
    (only,) = await everything(stored)
    assert (only.qos, only.topic, only.payload) == (2, "exact", b"once")


@pytest.mark.parametrize("topic", ["a.b", "a/b.c/d", "/a", "a//b", "a/", "ünï/cödé"])
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_topic_comes_back_as_the_device_wrote_it(
    stored: Stored, server: Client, device: Device, topic: str, qos: int
) -> None:
    await device.publish(f"up/{PK}/dev1/{topic}", b"x", qos)
    await arrived(server, 1)
    assert [each.topic for each in await everything(stored)] == [topic]


async def test_nobody_elses_is_there(stored: Stored, broker: Broker, dial: Dial, device: Device) -> None:
    for other in (await seat(dial, broker, "dev2"), await seat(dial, broker, "dev1", OTHER_PK)):
        assert other is not device
    second = await seat(dial, broker, "dev2")
    await second.publish(f"up/{PK}/dev2/x", b"second", 1)
    await device.publish(f"up/{PK}/dev1/x", b"first", 1)
    assert [each.payload for each in await everything(stored)] == [b"first"]
    assert (await page(stored, product_key=OTHER_PK)).messages == []


async def test_only_what_came_between_is_there(stored: Stored, server: Client, device: Device) -> None:
    for n in range(4):
        await device.publish(f"up/{PK}/dev1/x", f"{n}".encode(), n % 2)
        await arrived(server, n + 1)
    found = await everything(stored)
    second, last = found[1].at, found[3].at
    assert [each.payload for each in (await page(stored, since=second, until=last)).messages] == [b"1", b"2"]
    assert (await page(stored, since=last + timedelta(seconds=1))).messages == []
    # A page that was begun before its time was over shows no more than one that begins now.
    begun = await page(stored, limit=1)
    assert [each.payload for each in (await page(stored, since=last, place=begun.next_place)).messages] == [b"3"]


async def test_binary_and_large_payloads_come_whole(stored: Stored, device: Device) -> None:
    payloads = [bytes(range(256)) * 250 for _ in range(80)]
    for payload in payloads:
        await device.publish(f"up/{PK}/dev1/x", payload, 1)
    assert [each.payload for each in await everything(stored, limit=100)] == payloads


async def test_a_page_of_copies_only_leads_on(stored: Stored, server: Client, device: Device) -> None:
    """QoS 1 leaves copies in the stream for QoS 0; however many there are, what is behind them is found."""
    for n in range(60):
        await device.publish(f"up/{PK}/dev1/x", f"{n}".encode(), 1)
    await device.publish(f"up/{PK}/dev1/x", b"last", 0)
    await arrived(server, 61)
    found = await everything(stored, limit=2)
    assert [each.payload for each in found] == [*(f"{n}".encode() for n in range(60)), b"last"]


async def test_a_broker_that_is_away_is_said_to_be(stored: Stored, broker: Broker) -> None:
    async with connected(broker, LICET) as gone:
        stored.open(gone)
    with pytest.raises(Refused) as refused:
        await page(stored)
    assert refused.value.reason is Reason.BROKER_AWAY
    stored.close()
    with pytest.raises(Refused) as refused:
        await page(stored)
    assert refused.value.reason is Reason.BROKER_AWAY


@pytest.fixture
async def messages(stored: Stored, server: Client, broker: Broker, dial: Dial) -> list[StoredMessage]:
    """Five messages at QoS 1 and five at QoS 0 of two products each, and one that is retained."""
    for nth, product_key in enumerate((PK, OTHER_PK)):
        device = await seat(dial, broker, "dev1", product_key)
        for n in range(10):
            await device.publish(f"up/{product_key}/dev1/x", f"{n}".encode(), n % 2)
            await arrived(server, 11 * nth + n + 1)
        await device.publish(f"up/{product_key}/dev1/kept", b"retained", 1, retain=True)
        await arrived(server, 11 * nth + 11)
    return await everything(stored)


async def counted(server: Client) -> dict[str, int]:
    return {name: (await server.jetstream().stream_info(name)).state.last_seq for name in (MESSAGES, UPLINK)}


async def test_what_is_over_goes_of_one_product(stored: Stored, server: Client, messages: list[StoredMessage]) -> None:
    whole = await stored.purge(before=messages[4].at, counted=await counted(server), product_key=PK)
    assert whole
    assert [each.payload for each in await everything(stored)] == [each.payload for each in messages[4:]]
    assert len((await page(stored, product_key=OTHER_PK)).messages) == 11


async def test_what_is_not_counted_stays(stored: Stored, server: Client, messages: list[StoredMessage]) -> None:
    later = messages[-1].at + timedelta(hours=1)
    assert not await stored.purge(before=later, counted={MESSAGES: 2, UPLINK: 0}, product_key=PK)
    assert [each.payload for each in await everything(stored)] == [
        each.payload for each in messages if each.payload not in (b"1", b"3")
    ]
    assert not await stored.purge(before=later, counted={})
    assert await stored.purge(before=later, counted=await counted(server), product_key=PK)
    assert await everything(stored) == []


async def test_messages_have_the_time_that_it_was_for_licet(
    stored: Stored, server: Client, messages: list[StoredMessage]
) -> None:
    """From the fifth on it lived a year ahead."""
    year, later = timedelta(days=365), messages[4:]
    ahead = Stored(Shifts([Shift(later[0].at, year)]))
    ahead.open(server)
    whole = [each.at for each in messages[:4]] + [each.at + year for each in later]
    assert [each.at for each in await everything(ahead)] == whole
    found = await page(ahead, since=messages[3].at + timedelta(days=1), until=later[1].at + year)
    assert [each.payload for each in found.messages] == [later[0].payload]
    assert await ahead.purge(before=later[-1].at, counted=await counted(server), product_key=PK)
    assert [each.payload for each in await everything(stored)] == [each.payload for each in later]
    assert await ahead.purge(before=later[1].at + year, counted=await counted(server), product_key=PK)
    assert [each.payload for each in await everything(stored)] == [each.payload for each in later[1:]]


async def test_what_is_over_goes_of_everybody(stored: Stored, server: Client, messages: list[StoredMessage]) -> None:
    assert await stored.purge(before=messages[-1].at + timedelta(hours=1), counted=await counted(server))
    jetstream = server.jetstream()
    left = {name: (await jetstream.stream_info(name)).state.messages for name in (MESSAGES, UPLINK, RETAINED)}
    assert left == {MESSAGES: 0, UPLINK: 0, RETAINED: 0}
    assert await counted(server) == {MESSAGES: 12, UPLINK: 22}, "numbering goes on"


async def test_there_may_be_nothing_to_purge(stored: Stored, server: Client) -> None:
    assert await stored.purge(before=LONG_AGO, counted={})
    assert await stored.purge(before=datetime.now(UTC), counted={}, product_key=PK)


async def test_e5_from_what_a_device_says_to_the_end_of_its_days(broker: Broker, books: Books, dial: Dial) -> None:
    """Counted, charged, shown; and when its 7 days are over neither shown nor on any disk."""
    clock = Clock(datetime.now(UTC))
    sold = await sell(books, codes=1, devices=1, now=clock())
    async with at_the_door(broker, books, clock) as door, connected(broker, LICET) as server:
        device, code = await sold.knock(dial, broker, "dev0000")
        assert code == 0
        for qos in (0, 1):
            await device.publish(f"up/{sold.product_key}/dev0000/x", b"x" * 1000, qos)
        await send(books, sold.product_key, "dev0000", topic="set", payload=b"y" * 48, by=PLATFORM, now=clock())
        day = clock().date()
        days = {"first": day - timedelta(days=1), "last": day + timedelta(days=1), "by": "month", "now": clock()}
        for _ in range(500):
            stored = sum(each.stored_bytes for each in await storage.storage_used(books, None, **days))  # type: ignore[arg-type]
            if stored == 2048:
                break
            await asyncio.sleep(0.02)
        assert stored == 2048
        keys = {"product_key": sold.product_key, "device_key": "dev0000"}
        assert len((await page(door.stored, **keys)).messages) == 3
        assert await keep(books, door.stored.purge, now=clock() + timedelta(days=6)) == 0
        assert len((await page(door.stored, **keys)).messages) == 3
        await keep(books, door.stored.purge, now=clock() + timedelta(days=7, minutes=1))
        left = [(await server.jetstream().stream_info(name)).state.messages for name in (MESSAGES, UPLINK)]
        assert left == [0, 0]
