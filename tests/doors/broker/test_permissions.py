"""A device speaks and hears under its own name, and nowhere else."""

import asyncio

import aiomqtt
import pytest
from doors.broker.devices import Broker, Device, Dial, until
from doors.broker.open_gate import PK, SECRET
from nats.aio.client import Client
from nats.aio.msg import Msg

from licet.broker.gate import Gate
from licet.broker.wire import settled


@pytest.fixture
async def device(open_gate: Gate, broker: Broker, dial: Dial) -> Device:
    device = await dial(broker)
    assert await device.connect(f"{PK}-dev1", f"{PK}/dev1", SECRET) == 0
    return device


@pytest.fixture
async def overheard(server: Client) -> list[Msg]:
    """Everything that is said in the devices' account, the server's own housekeeping aside."""
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)

    await server.subscribe(">", cb=hear)
    await settled(server)
    return heard


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_device_is_heard_under_its_own_name(device: Device, overheard: list[Msg], qos: int) -> None:
    await device.publish(f"up/{PK}/dev1/temperature", b"21.5", qos)
    await until(lambda: any(message.subject == f"up.{PK}.dev1.temperature" for message in overheard))


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize(
    "topic_filter", [f"down/{PK}/dev1/#", f"down/{PK}/dev1/set", f"down/{PK}/dev1", f"down/{PK}/dev1/+"]
)
async def test_a_device_hears_what_is_said_to_it(device: Device, server: Client, topic_filter: str, qos: int) -> None:
    assert await device.subscribe(topic_filter, qos) == qos
    topic = topic_filter.replace("#", "set").replace("+", "set")
    await server.publish(topic.replace("/", "."), b"on")
    assert await device.message() == (topic, b"on")


FORBIDDEN_FILTERS = [
    "#",
    "+",
    "+/#",
    "/#",
    "up/#",
    f"up/{PK}/dev1/#",
    "down/#",
    f"down/{PK}/#",
    f"down/{PK}/+",
    f"down/{PK}/+/set",
    f"down/{PK}/dev2/#",
    f"down/{PK}/dev2/set",
    "down/+/dev1/#",
    f"down/{PK}/dev1x/#",
    "$MQTT/#",
    "$MQTT/msgs/#",
    "$MQTT/sub/#",
    "$MQTT/sub/+",
    "$MQTT/deliver/pubrel/#",
    "$MQTT/rmsgs/#",
    "$MQTT/sess/#",
    "$MQTT/JSA/#",
    "$SYS/#",
    "$SYS/REQ/USER/AUTH",
    "$SYS/ACCOUNT/DEVICES/#",
    "$JS/#",
    "$JS/API/#",
    "$KV/#",
    "$G/#",
    "_INBOX/#",
    "_R_/#",
    "licet/events/#",
    "register/#",
    f"register/{PK}/dev1/secret",
    "$share/group/up/#",
    "$queue/up/#",
]


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_device_hears_nothing_that_is_not_said_to_it(device: Device, server: Client, qos: int) -> None:
    granted = [topic_filter for topic_filter in FORBIDDEN_FILTERS if await device.subscribe(topic_filter, qos) != 0x80]
    assert granted == []
    # Its subscription to its own name still works, and nothing came by another way.
    assert await device.subscribe(f"down/{PK}/dev1/#", qos) == qos
    await server.publish(f"down.{PK}.dev2.set", b"not for you")
    await server.publish(f"up.{PK}.dev1.x", b"not for you")
    await server.publish(f"down.{PK}.dev1.set", b"for you")
    assert await device.message() == (f"down/{PK}/dev1/set", b"for you")


FORBIDDEN_TOPICS = [
    "up",
    f"up/{PK}",
    f"up/{PK}/dev1",
    f"up/{PK}/dev2/temperature",
    "up/OtherProd11/dev1/temperature",
    f"down/{PK}/dev1/set",
    f"down/{PK}/dev2/set",
    "$SYS/REQ/USER/AUTH",
    "$SYS/REQ/SERVER/PING",
    "$JS/API/STREAM/LIST",
    "$JS/API/STREAM/DELETE/EVENTS",
    "$JS/ACK/x",
    f"$MQTT/msgs/up/{PK}/dev2/temperature",
    "$MQTT/sub/x",
    "$MQTT/sess/x",
    "$MQTT/rmsgs/x",
    "$KV/x",
    "_INBOX/x",
    "_INBOX/x/y",
    "licet/events/device_deleted",
    f"register/{PK}/dev1",
    "x",
    "/",
]


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("retain", [False, True])
async def test_a_device_is_not_heard_under_another_name(
    device: Device, overheard: list[Msg], server: Client, qos: int, retain: bool
) -> None:
    for topic in FORBIDDEN_TOPICS:
        await device.publish(topic, b"forbidden", qos, retain=retain)
    await device.publish(f"up/{PK}/dev1/last", b"allowed", qos)
    await until(lambda: any(message.data == b"allowed" for message in overheard))
    assert [message.subject for message in overheard if b"forbidden" in message.data] == []
    # Nor is anything kept of it: neither as a stored message nor as a retained one.
    jetstream = server.jetstream()
    for stream in await jetstream.streams_info():
        for sequence in range(stream.state.first_seq, stream.state.last_seq + 1):
            if stream.state.messages:
                stored = await jetstream.get_msg(str(stream.config.name), sequence)
                assert b"forbidden" not in (stored.data or b"")


async def test_a_last_will_is_bound_by_the_same_permissions(
    open_gate: Gate, broker: Broker, dial: Dial, overheard: list[Msg]
) -> None:
    for device_key, will in (
        ("dev1", f"up/{PK}/dev2/will"),
        ("dev3", "$SYS/REQ/USER/AUTH"),
        ("dev4", f"up/{PK}/dev4/will"),
    ):
        device = await dial(broker)
        assert await device.connect(f"{PK}-{device_key}", f"{PK}/{device_key}", SECRET, will=will) == 0
        await device.close()
    await until(lambda: any(message.subject == f"up.{PK}.dev4.will" for message in overheard))
    await asyncio.sleep(0.1)
    assert [message.subject for message in overheard if message.data == b"gone"] == [f"up.{PK}.dev4.will"]


async def test_a_stock_client_sees_all_this(open_gate: Gate, broker: Broker, server: Client) -> None:
    async with aiomqtt.Client(
        "127.0.0.1", broker.mqtt_port, identifier=f"{PK}-dev1", username=f"{PK}/dev1", password=SECRET
    ) as client:
        assert [str(code) for code in await client.subscribe("#", qos=1)] == ["Unspecified error"]
        assert [str(code) for code in await client.subscribe(f"down/{PK}/dev1/#", qos=1)] == ["Granted QoS 1"]
        await client.publish(f"up/{PK}/dev1/x", b"21.5", qos=1)
        await server.publish(f"down.{PK}.dev1.set", b"on")
        message = await anext(aiter(client.messages))
        assert (str(message.topic), message.payload) == (f"down/{PK}/dev1/set", b"on")


async def test_a_stock_client_is_told_that_it_is_not_authorized(open_gate: Gate, broker: Broker) -> None:
    client = aiomqtt.Client("127.0.0.1", broker.mqtt_port, identifier="x", username=f"{PK}/dev1", password=SECRET)
    with pytest.raises(aiomqtt.MqttError, match="Not authorized"):
        await client.__aenter__()


async def test_a_message_larger_than_the_largest_ends_the_session(device: Device, overheard: list[Msg]) -> None:
    await device.publish(f"up/{PK}/dev1/x", bytes(60_000), 1)
    await device.publish(f"up/{PK}/dev1/x", bytes(70_000))
    await device.hung_up(within=5)
    assert [len(message.data) for message in overheard if message.subject == f"up.{PK}.dev1.x"] == [60_000]
