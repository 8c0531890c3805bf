"""What licet relies on of the server, beyond the gate: each of these was different under another setting or version."""

import asyncio
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

from doors.broker.devices import PASSWORD, Broker, Device, Dial, configured, connected
from doors.broker.open_gate import PK, SECRET, gate_for_all
from nats.aio.client import Client
from nats.js.client import JetStreamContext

from licet.broker.gate import Gate
from licet.broker.server import LICET, SUBSCRIPTIONS
from licet.broker.streams import make_streams
from licet.run.nats_engine import Listen, Nats


async def seat(dial: Dial, broker: Broker, device_key: str = "dev1", *, clean: bool = True) -> Device:
    device = await dial(broker)
    assert await device.connect(f"{PK}-{device_key}", f"{PK}/{device_key}", SECRET, clean=clean) == 0
    return device


async def say(jetstream: JetStreamContext, payload: bytes) -> None:
    """Downlink at QoS 1, as the server itself would store it."""
    await jetstream.publish(f"$MQTT.msgs.down.{PK}.dev1.set", payload, headers={"Nmqtt-Pub": "1"})


async def test_what_is_said_to_a_device_while_it_is_away_waits_for_it_even_through_a_kill(
    broker: Broker, dial: Dial
) -> None:
    async with connected(broker, LICET) as server:
        gate = gate_for_all()
        await gate.open(server)
        device = await seat(dial, broker, clean=False)
        assert await device.subscribe(f"down/{PK}/dev1/#", 1) == 1
        await device.leave()
        await say(server.jetstream(), b"while away")
    assert broker.engine.process is not None
    os.kill(broker.engine.process.pid, signal.SIGKILL)
    broker.engine.process.wait()
    await asyncio.to_thread(broker.engine.start)
    async with connected(broker, LICET) as server:
        gate = gate_for_all()
        await gate.open(server)
        device = await seat(dial, broker, clean=False)
        assert await device.message() == (f"down/{PK}/dev1/set", b"while away")
        await say(server.jetstream(), b"again")
        assert await device.message() == (f"down/{PK}/dev1/set", b"again")


async def test_more_than_a_thousand_devices_subscribe_at_qos_1(start_nats: Callable[..., Nats], dial: Dial) -> None:
    def quick(listen: Listen, store: Path) -> str:
        # The limit is the same, and a thousand files less are written.
        return configured(listen, store).replace("consumer_memory_storage: false", "consumer_memory_storage: true")

    broker = Broker(start_nats(quick))

    async def subscribe(n: int) -> int:
        device = await seat(dial, broker, f"dev{n}")
        return await device.subscribe(f"down/{PK}/dev{n}/#", 1)

    async with connected(broker, LICET) as server:
        gate = gate_for_all()
        await gate.open(server)
        granted = await asyncio.gather(*(subscribe(n) for n in range(1100)))
        await gate.close()
    assert set(granted) == {1}


async def test_a_device_cannot_fill_the_server_with_subscriptions(open_gate: Gate, broker: Broker, dial: Dial) -> None:
    device = await seat(dial, broker)
    granted = [await device.subscribe(f"down/{PK}/dev1/{n}", 0) for n in range(SUBSCRIPTIONS + 5)]
    assert 0x80 in granted
    assert granted.count(0) <= SUBSCRIPTIONS
    await device.ping()


async def test_an_acknowledged_message_is_kept_though_nobody_asked_for_it(
    open_gate: Gate, server: Client, broker: Broker, dial: Dial
) -> None:
    jetstream = server.jetstream()
    await make_streams(jetstream)
    device = await seat(dial, broker)
    await device.publish(f"up/{PK}/dev1/x", b"counted later", 1)
    message = await jetstream.get_last_msg("$MQTT_msgs", f"$MQTT.msgs.up.{PK}.dev1.x")
    assert message.data == b"counted later"


async def test_the_configuration_may_hold_any_password_and_any_folder(
    start_nats: Callable[..., Nats], tmp_path: Path
) -> None:
    def odd(listen: Listen, store: Path) -> str:
        return configured(listen, store.parent / 'a folder, "größer" than most')

    engine = start_nats(odd)
    assert stat.S_IMODE((engine.folder / "nats.conf").stat().st_mode) == 0o600
    async with connected(Broker(engine), LICET) as server:
        assert PASSWORD not in repr(server)
        await make_streams(server.jetstream())
    assert (engine.folder / 'a folder, "größer" than most' / "jetstream").is_dir()
