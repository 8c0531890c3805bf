"""What the server says of the messages it holds: facts that counting relies on, and heads read in whole chunks."""

import struct
from collections.abc import AsyncIterator

import pytest
from doors.broker.devices import Broker, Device, Dial, text
from doors.broker.open_gate import PK, SECRET
from doors.eventually import eventually
from nats.aio.client import Client

from licet.allowances import Direction
from licet.broker import heads as heads_module
from licet.broker.heads import Head, Heads, ReadingError, heads_from
from licet.broker.server import LICET
from licet.broker.streams import MESSAGES, UPLINK, make_streams
from licet.broker.tally import Sums, topic_of
from licet.postgres.usage import Tally

DK = "dev0001"
SIZES = (0, 1, 600)


@pytest.fixture
async def heads(broker: Broker, server: Client) -> AsyncIterator[Heads]:
    await make_streams(server.jetstream())
    async with heads_from([broker.url], LICET, broker.password, server.jetstream()) as heads:
        yield heads


async def let_in(dial: Dial, broker: Broker, **more: str) -> Device:
    device = await dial(broker)
    assert await device.connect(f"{PK}-{DK}", f"{PK}/{DK}", SECRET, **more) == 0  # type: ignore[arg-type]
    return device


async def publish_exactly_once(device: Device, topic: str, payload: bytes, packet_id: int, *, stammers: bool) -> None:
    """QoS 2. One that stammers says everything twice, as after a lost connection."""
    whole = text(topic) + struct.pack(">H", packet_id) + payload
    for kind in (0x34, 0x3C) if stammers else (0x34,):
        await device.send(kind, whole)
        assert (await device.packet())[0] == 0x50
    for _ in range(1 + stammers):
        await device.send(0x62, struct.pack(">H", packet_id))
        assert (await device.packet())[0] == 0x70


async def all_heads(heads: Heads, server: Client, stream: str) -> list[Head]:
    last = (await server.jetstream().stream_info(stream)).state.last_seq
    return await held(heads, stream, 1, last) if last else []


async def held(heads: Heads, stream: str, first: int, last: int) -> list[Head]:
    return [head async for found in heads.between(stream, first, last) for head in found]


def tally(heads: list[Head], *, only_unacknowledged: bool = False) -> list[Tally]:
    sums = Sums(only_unacknowledged=only_unacknowledged)
    sums.add(heads)
    return sums.tallies()


def said(found: list[Head]) -> list[tuple[str, str, int]]:
    """The end of each one's topic, its QoS and size."""
    return [(subject.split(b".")[-1].decode(), qos.decode(), int(size)) for subject, _, qos, size in found]


@pytest.mark.usefixtures("open_gate")
async def test_each_qos_lies_where_it_is_counted_from(broker: Broker, server: Client, dial: Dial, heads: Heads) -> None:
    """QoS 1 and 2 in the server's own stream, everything in ours; the size is the payload's."""
    device = await let_in(dial, broker)
    for qos in (0, 1):
        for size in SIZES:
            await device.publish(f"up/{PK}/{DK}/q{qos}", b"x" * size, qos)
    for number, size in enumerate(SIZES, 100):
        await publish_exactly_once(device, f"up/{PK}/{DK}/q2", b"x" * size, number, stammers=True)
    acknowledged = [(f"q{qos}", f"{qos}", size) for qos in (1, 2) for size in SIZES]
    first = await all_heads(heads, server, MESSAGES)
    assert said(first) == acknowledged
    assert {head[0].rpartition(b".")[0].decode() for head in first} == {f"up.{PK}.{DK}"}
    copies = await all_heads(heads, server, UPLINK)
    assert said(copies) == [("q0", "0", size) for size in SIZES] + acknowledged
    assert {tally.up for tally in tally(first)} == {2 * 4}
    assert {tally.up for tally in tally(copies, only_unacknowledged=True)} == {4}


@pytest.mark.usefixtures("open_gate")
async def test_wills_and_retained_messages_are_messages(
    broker: Broker, server: Client, dial: Dial, heads: Heads
) -> None:
    device = await let_in(dial, broker, will=f"up/{PK}/{DK}/will")
    await device.publish(f"up/{PK}/{DK}/kept", b"xx", 1, retain=True)
    await device.publish(f"up/{PK}/{DK}/kept", b"xx", 0, retain=True)
    await device.close()
    copies = await eventually(lambda: all_heads(heads, server, UPLINK), lambda found: len(found) == 3)
    assert said(copies) == [("kept", "1", 2), ("kept", "0", 2), ("will", "0", 4)]
    assert said(await all_heads(heads, server, MESSAGES)) == [("kept", "1", 2)]


@pytest.mark.usefixtures("open_gate")
@pytest.mark.parametrize("topic", ["a b", "a\r\nb", "a\nb", "a\tb", "a\0b", "\r\n\r\n\r\n"])
async def test_no_device_can_put_a_space_or_a_control_character_into_a_topic(
    broker: Broker, server: Client, dial: Dial, heads: Heads, topic: str
) -> None:
    device = await let_in(dial, broker)
    await device.send(0x32, text(f"up/{PK}/{DK}/{topic}") + b"\0\7x")
    await device.hung_up(within=5)
    assert await all_heads(heads, server, UPLINK) == []


@pytest.mark.usefixtures("open_gate")
@pytest.mark.parametrize(
    "topic", ["a", "", "/", "a//b", "a.b/c", "/.", "./", "ünï/\u00a0", "$JS.ACK.x", "HMSG", "-ERR"]
)
async def test_any_other_topic_is_read(broker: Broker, server: Client, dial: Dial, heads: Heads, topic: str) -> None:
    device = await let_in(dial, broker)
    await device.publish(f"up/{PK}/{DK}/{topic}", b"xxx", 1)
    (head,) = await all_heads(heads, server, MESSAGES)
    assert topic_of(head[0]) == f"up/{PK}/{DK}/{topic}"


async def fill(server: Client, count: int) -> None:
    jetstream = server.jetstream()
    for number in range(1, count + 1):
        await server.publish(f"up.{PK}.{number}.t", b"x" * (number % 7))
    await eventually(lambda: jetstream.stream_info(UPLINK), lambda info: info.state.last_seq == count)


def sequences(found: list[Head]) -> list[int]:
    """Of what ``fill`` filled in."""
    return [int(subject.split(b".")[2]) for subject, *_ in found]


async def test_exactly_what_was_asked_for_comes_in_whole_chunks(server: Client, heads: Heads) -> None:
    """Also right after a reading that had to stop early, because what was deleted made room for more."""
    await fill(server, 3000)
    assert sequences(await held(heads, UPLINK, 1, 3000)) == list(range(1, 3001))
    assert sequences(await held(heads, UPLINK, 17, 17)) == [17]
    for number in range(1, 100):
        await server.jetstream().delete_msg(UPLINK, number)
    assert sequences(await held(heads, UPLINK, 50, 150)) == list(range(100, 151))
    assert sequences(await held(heads, UPLINK, 1, 99)) == []
    assert sequences(await held(heads, UPLINK, 2000, 3000)) == list(range(2000, 3001))


async def test_what_was_deleted_at_the_end_is_not_waited_for(server: Client, heads: Heads) -> None:
    await fill(server, 10)
    for number in (4, 9, 10):
        await server.jetstream().delete_msg(UPLINK, number)
    assert sequences(await held(heads, UPLINK, 3, 10)) == [3, 5, 6, 7, 8]
    assert sequences(await held(heads, UPLINK, 9, 10)) == []
    await server.jetstream().purge_stream(UPLINK)
    assert sequences(await held(heads, UPLINK, 1, 10)) == []


async def test_what_is_no_devices_is_passed_over(server: Client, heads: Heads) -> None:
    subjects = [f"register.{PK}.{DK}", f"up.{PK}", f"down.{PK}.{DK}", f"down.{PK}.{DK}.a.b", "else"]
    for subject in subjects:
        await server.jetstream().publish(f"$MQTT.msgs.{subject}", b"x", headers={"Nmqtt-Pub": "1", "Other": "a b"})
    found = await all_heads(heads, server, MESSAGES)
    assert [head[0].decode() for head in found] == subjects
    counted = {(each.product_key, each.device_key, each.up, each.down) for each in tally(found)}
    assert counted == {(PK, "", 1, 0), (PK, DK, 0, 2)}


async def test_a_server_that_falls_silent_is_an_error(
    broker: Broker, server: Client, heads: Heads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of what had come is used."""
    await fill(server, 10)
    monkeypatch.setattr(heads_module, "ANSWER_SECONDS", 0.5)
    broker.engine.stop()
    with pytest.raises((ReadingError, TimeoutError, OSError)):
        await held(heads, UPLINK, 1, 10)


async def test_a_wrong_password_is_an_error(broker: Broker, server: Client) -> None:
    with pytest.raises(ReadingError, match="Authorization"):
        async with heads_from([broker.url], LICET, "guessed", server.jetstream()):
            pass


async def test_the_first_server_that_answers_is_read_from(broker: Broker, server: Client) -> None:
    async with heads_from(["nats://127.0.0.1:9", broker.url], LICET, broker.password, server.jetstream()) as heads:
        await make_streams(server.jetstream())
        await fill(server, 3)
        assert len(await held(heads, UPLINK, 1, 3)) == 3
    with pytest.raises(ReadingError, match="no broker"):
        async with heads_from(["nats://127.0.0.1:9"], LICET, broker.password, server.jetstream()):
            pass


def head(topic: str, size: int, *, direction: Direction = Direction.UP, at: int = 1_795_000_000) -> Head:
    return f"{direction}.{PK}.{DK}{topic}".encode(), str(at)[:9].encode(), b"1", str(size).encode()


@pytest.mark.parametrize(
    ("direction", "topic", "size", "messages"),
    [
        (Direction.UP, ".sys.heartbeat", 0, 0),
        (Direction.UP, ".sys.heartbeat", 512, 0),
        (Direction.UP, ".sys.heartbeat", 513, 2),
        (Direction.DOWN, ".sys.heartbeat", 1, 1),
        (Direction.UP, ".sys.heartbeats", 1, 1),
        (Direction.UP, ".sys.presence.a.b", 1, 0),
        (Direction.UP, ".sys//presence.a", 1, 1),
        (Direction.UP, ".system", 1, 1),
        (Direction.DOWN, ".sys.command.reboot", 1, 0),
        (Direction.DOWN, ".sys.ota.offer", 400, 0),
        (Direction.UP, ".t", 1025, 3),
        (Direction.UP, "", 0, 1),
    ],
)
def test_e3_classes_that_do_not_count(direction: Direction, topic: str, size: int, messages: int) -> None:
    """Their bytes are stored all the same."""
    (found,) = tally([head(topic, size, direction=direction)])
    assert (found.up, found.down, found.bytes) == (
        (messages, 0, size) if direction is Direction.UP else (0, messages, size)
    )


def test_a_slot_is_a_quarter_of_an_hour() -> None:
    begins = 1_795_000_500
    assert begins % 900 == 0
    found = tally([head(".t", 1, at=at) for at in (begins, begins - 1, begins + 899, begins + 900)])
    slot = begins // 900
    assert sorted(found) == [
        Tally(PK, DK, slot - 1, 1, 0, 1),
        Tally(PK, DK, slot, 2, 0, 2),
        Tally(PK, DK, slot + 1, 1, 0, 1),
    ]
