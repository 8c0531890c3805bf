"""Messages to a device, and what it sent and was sent, over the API, on a real broker (E5)."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from doors.api.stage import Stage
from doors.broker.devices import Broker, Device, configured, connected
from doors.broker.open_gate import SECRET, gate_for_all

from licet.broker.downlink import Downlink
from licet.broker.server import LICET
from licet.broker.stored import Stored
from licet.broker.streams import make_streams
from licet.messages import DOWNLINK_BYTES
from licet.meter import claim, meter
from licet.postgres.usage import Tally
from licet.run.nats_engine import Nats


class Wire:
    """A device of Acme's at the broker, and licet's rooms there."""

    def __init__(self, stage: Stage, broker: Broker, product_key: str) -> None:
        self.stage = stage
        self.broker = broker
        self.product_key = product_key
        self.path = f"/v1/devices/{product_key}/thermo1"

    async def device(self, *, listens: bool = True) -> Device:
        device = Device(*await asyncio.open_connection("127.0.0.1", self.broker.mqtt_port))
        names = (f"{self.product_key}-thermo1", f"{self.product_key}/thermo1", SECRET)
        assert await device.connect(*names, clean=False) == 0
        if listens:
            assert await device.subscribe(f"down/{self.product_key}/thermo1/#", 1) == 1
        return device

    async def sends(self, **asked: Any) -> dict[str, Any]:
        sent: dict[str, Any] = self.stage.made(await self.stage.alice.post(f"{self.path}/messages", json=asked), 201)
        return sent

    async def data(self, **asked: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.stage.made(await self.stage.bob.get(f"{self.path}/data", params=asked))[
            "data"
        ]
        return found

    async def comes_to(self, message: dict[str, Any], state: str) -> dict[str, Any]:
        for _ in range(250):
            found: dict[str, Any] = self.stage.made(await self.stage.bob.get(f"{self.path}/messages/{message['id']}"))
            if found["state"] == state:
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(found)


@pytest.fixture
async def wire(stage: Stage, start_nats: Callable[..., Nats]) -> AsyncIterator[Wire]:
    stage.clock.now = datetime.now(UTC)
    product_key, _ = await stage.sold()
    await stage.device(product_key)
    broker = Broker(start_nats(configured))
    stored, downlink, over = Stored(), Downlink(stage.books, stage.clock), asyncio.Event()
    stage.app.state.door.messages, stage.app.state.door.send_down = stored, downlink.nudge
    async with connected(broker, LICET) as server:
        jetstream, gate = server.jetstream(), gate_for_all()
        await make_streams(jetstream)
        await gate.open(server)
        await downlink.open(server)
        stored.open(server)
        keeping = asyncio.create_task(downlink.keep(server, jetstream, over))
        yield Wire(stage, broker, product_key)
        over.set()
        downlink.nudge()
        await keeping
        await gate.close()


async def test_a_message_is_sent_delivered_and_read_back(wire: Wire) -> None:
    device = await wire.device()
    sent = await wire.sends(topic="set/light", json={"on": True})
    assert (sent["state"], sent["topic"], sent["bytes"]) == ("waiting", "set/light", 11)
    assert await device.message() == (f"down/{wire.product_key}/thermo1/set/light", b'{"on":true}')
    await wire.comes_to(sent, "delivered")
    await device.publish(f"up/{wire.product_key}/thermo1/state", b"lit", 1)
    down, up = await wire.data()
    assert (down["direction"], down["topic"], down["payload"], down["bytes"]) == (
        "down",
        "set/light",
        '{"on":true}',
        11,
    )
    assert (up["direction"], up["topic"], up["payload"], up["encoding"], up["qos"]) == ("up", "state", "lit", "text", 1)
    listed = wire.stage.made(await wire.stage.bob.get(f"{wire.path}/messages"))["data"]
    assert [each["id"] for each in listed] == [sent["id"]]
    await device.close()


async def test_a_retry_delivers_nothing_twice(wire: Wire) -> None:
    device = await wire.device()
    keyed = {"Idempotency-Key": "switch-1"}
    asked = {"topic": "set", "payload": "on"}
    many = await asyncio.gather(
        *(wire.stage.alice.post(f"{wire.path}/messages", json=asked, headers=keyed) for _ in range(5))
    )
    assert len({wire.stage.made(each, 201)["id"] for each in many}) == 1
    assert (await device.message())[1] == b"on"
    with pytest.raises(TimeoutError):
        await device.message(within=0.7)
    assert len(await wire.data()) == 1
    await device.close()


async def test_payloads_in_three_forms(wire: Wire) -> None:
    await wire.sends(topic="a", payload="grün")
    await wire.sends(topic="b", payload_base64="/wA=")
    last = await wire.sends(topic="c", json=None)
    await wire.comes_to(last, "sent")
    shown = [(each["encoding"], each["payload"]) for each in await wire.data()]
    assert shown == [("text", "grün"), ("base64", "/wA="), ("text", "null")]
    shown = [(each["encoding"], each["payload"]) for each in await wire.data(**{"as": "json"})]
    assert shown == [("base64", "Z3LDvG4="), ("base64", "/wA="), ("json", None)]
    shown = [(each["encoding"], each["payload"]) for each in await wire.data(**{"as": "base64"})]
    assert shown == [("base64", "Z3LDvG4="), ("base64", "/wA="), ("base64", "bnVsbA==")]


@pytest.mark.parametrize(
    "payload", [b"1e999", b"NaN", b'"\\ud800"', b'{"\\udfff": 1}', b"[" * 250 + b"]" * 250, b"[" * 20_000, b"\xff", b""]
)
async def test_what_a_device_says_is_never_a_fault(wire: Wire, payload: bytes) -> None:
    device = await wire.device(listens=False)
    await device.publish(f"up/{wire.product_key}/thermo1/x", payload, 1)
    await device.close()
    for form in ("json", "text", "base64"):
        (shown,) = await wire.data(**{"as": form})
        if form != "text":
            assert (shown["encoding"], base64.b64decode(shown["payload"])) == ("base64", payload)


@pytest.mark.parametrize(
    "asked",
    [
        {"topic": "a"},
        {"topic": "a", "payload": "x", "json": 1},
        {"topic": "", "payload": "x"},
        {"topic": "a/#", "payload": "x"},
        {"topic": "+/b", "payload": "x"},
        {"topic": "a.b", "payload": "x"},
        {"topic": "a>", "payload": "x"},
        {"topic": "*", "payload": "x"},
        {"topic": "a//b", "payload": "x"},
        {"topic": "/a", "payload": "x"},
        {"topic": "a/", "payload": "x"},
        {"topic": "a b", "payload": "x"},
        {"topic": "a\nb", "payload": "x"},
        {"topic": "a\n", "payload": "x"},
        {"topic": "ä", "payload": "x"},
        {"topic": "a" * 201, "payload": "x"},
        {"topic": "a", "payload": "x" * (DOWNLINK_BYTES + 1)},
        {"topic": "a", "payload_base64": "no base64"},
    ],
)
async def test_what_cannot_be_sent_is_malformed(stage: Stage, asked: dict[str, Any]) -> None:
    product_key, _ = await stage.sold()
    await stage.device(product_key)
    answer = await stage.alice.post(f"/v1/devices/{product_key}/thermo1/messages", json=asked)
    stage.refused(answer, 422, "malformed")


async def test_the_largest_message_reaches_the_device(wire: Wire) -> None:
    device = await wire.device()
    topic = "t" * 200
    await wire.sends(topic=topic, payload="x" * DOWNLINK_BYTES)
    assert await device.message() == (f"down/{wire.product_key}/thermo1/{topic}", b"x" * DOWNLINK_BYTES)
    await device.close()


async def test_only_those_whose_device_it_is_send_and_read(wire: Wire) -> None:
    stage, asked = wire.stage, {"topic": "set", "payload": "on"}
    sent = await wire.sends(**asked)
    stage.refused(await stage.mallory.post(f"{wire.path}/messages", json=asked), 404, "not_found")
    stage.refused(await stage.bob.post(f"{wire.path}/messages", json=asked), 403, "not_permitted")
    stage.refused(await stage.nobody.post(f"{wire.path}/messages", json=asked), 401, "not_signed_in")
    for path in (f"{wire.path}/data", f"{wire.path}/messages", f"{wire.path}/messages/{sent['id']}"):
        stage.refused(await stage.mallory.get(path), 404, "not_found")
    other = f"/v1/devices/{wire.product_key}/thermo2"
    stage.refused(await stage.alice.post(f"{other}/messages", json=asked), 404, "not_found")
    await stage.device(wire.product_key, "thermo2")
    stage.refused(await stage.alice.get(f"{other}/messages/{sent['id']}"), 404, "not_found")


async def test_data_comes_in_pages(wire: Wire) -> None:
    device = await wire.device(listens=False)
    for n in range(7):
        await device.publish(f"up/{wire.product_key}/thermo1/x", f"{n}".encode(), n % 2)
        await device.ping()
    shown: list[str] = []
    cursor = None
    for _ in range(10):
        asked = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        body = wire.stage.made(await wire.stage.bob.get(f"{wire.path}/data", params=asked))
        shown += [each["payload"] for each in body["data"]]
        if (cursor := body["next_cursor"]) is None:
            break
    assert sorted(shown) == ["0", "1", "2", "3", "4", "5", "6"]  # at QoS 0 and 1 they overtake each other
    await device.close()


async def test_e5_it_is_the_clock_that_ends_the_storage_days(wire: Wire) -> None:
    """7 days: then nobody is shown it any more, whether it is on a disk or not."""
    device = await wire.device(listens=False)
    await device.publish(f"up/{wire.product_key}/thermo1/x", b"kept", 1)
    await device.close()
    (only,) = await wire.data()
    gone_at = datetime.fromisoformat(only["at"]) + timedelta(days=7)
    wire.stage.clock.now = gone_at
    assert len(await wire.data()) == 1
    wire.stage.clock.now = gone_at + timedelta(microseconds=1)
    assert await wire.data() == []
    assert await wire.data(**{"from": "2020-01-01T00:00:00Z"}) == []


async def test_e5_a_products_data_may_be_kept_longer(wire: Wire) -> None:
    device = await wire.device(listens=False)
    await device.publish(f"up/{wire.product_key}/thermo1/x", b"kept", 1)
    await device.close()
    stage, product = wire.stage, f"/v1/products/{wire.product_key}"
    assert stage.made(await stage.bob.get(product))["keep_days"] is None
    stage.refused(await stage.alice.patch(product, json={"keep_days": 6}), 409, "keeps_too_short")
    stage.refused(await stage.alice.patch(product, json={"keep_days": 0}), 422, "malformed")
    assert stage.made(await stage.alice.patch(product, json={"keep_days": 30}))["keep_days"] == 30
    assert stage.made(await stage.alice.patch(product, json={"name": "Other"}))["keep_days"] == 30
    stage.clock.move(days=20)
    assert len(await wire.data()) == 1
    assert stage.made(await stage.alice.patch(product, json={"keep_days": None}))["keep_days"] is None
    assert len(await wire.data()) == 1, "until midnight"
    stage.clock.move(days=1)
    assert await wire.data() == []


async def test_e5_usage_of_storage_is_in_mib_days(wire: Wire) -> None:
    stage, now = wire.stage, wire.stage.clock.now
    stage.made(await stage.alice.patch(f"/v1/products/{wire.product_key}", json={"keep_days": 9}))
    claimed = await claim(stage.books, "s", last_sequence=1, most=1, claimed_by="r", now=now)
    assert claimed is not None
    tally = Tally(wire.product_key, "thermo1", int(now.timestamp()) // 900, 1, 0, 3 * 2**20)
    await meter(stage.books, claimed, [tally], now=now)
    stage.clock.move(days=20)
    first, last = now.date(), now.date() + timedelta(days=20)
    asked = {"from": first.isoformat(), "to": last.isoformat()}
    days: list[dict[str, Any]] = []
    while True:
        body = stage.made(await stage.bob.get("/v1/usage/storage", params={**asked, "limit": 4}))
        days += body["data"]
        if (cursor := body["next_cursor"]) is None:
            break
        asked["cursor"] = cursor
    assert [(each["used"], each["covered"], each["excess"]) for each in days] == [(3, 3, 0)] * 8 + [(3, 0, 3)] * 2
    assert [each["bytes"] for each in days] == [3 * 2**20] + [0] * 9
    by_device = await stage.bob.get("/v1/usage/storage", params={"whose": "device"})
    stage.refused(by_device, 422, "malformed")


async def test_without_a_broker_messages_wait_and_data_cannot_be_read(stage: Stage) -> None:
    product_key, _ = await stage.sold()
    await stage.device(product_key)
    path = f"/v1/devices/{product_key}/thermo1"
    sent = stage.made(await stage.alice.post(f"{path}/messages", json={"topic": "set", "payload": "on"}), 201)
    assert stage.made(await stage.bob.get(f"{path}/messages/{sent['id']}"))["state"] == "waiting"
    stage.refused(await stage.bob.get(f"{path}/data"), 503, "broker_away")
