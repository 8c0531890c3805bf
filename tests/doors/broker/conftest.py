"""A real nats-server with licet's own configuration, licet's connections to it, and devices that dial it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from doors.broker.devices import Broker, Device, Dial, configured, connected
from doors.broker.open_gate import gate_for_all
from nats.aio.client import Client

from licet.broker.gate import Gate
from licet.broker.server import LICET, LICET_SYS
from licet.run.nats_engine import Nats


@pytest.fixture
def broker(start_nats: Callable[..., Nats]) -> Broker:
    return Broker(start_nats(configured))


@pytest.fixture
def impatient_broker(start_nats: Callable[..., Nats]) -> Broker:
    """A server that waits for an answer no longer than a second."""
    return Broker(start_nats(lambda listen, store: configured(listen, store, patience_seconds=1.0)))


@pytest.fixture
async def server(broker: Broker) -> AsyncIterator[Client]:
    async with connected(broker, LICET) as connection:
        yield connection


@pytest.fixture
async def system(broker: Broker) -> AsyncIterator[Client]:
    async with connected(broker, LICET_SYS) as connection:
        yield connection


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    """Open a connection to a broker's MQTT port: `await dial(broker)`."""
    devices: list[Device] = []

    async def open_one(broker: Broker) -> Device:
        for attempt in range(50):
            try:
                streams = await asyncio.open_connection("127.0.0.1", broker.mqtt_port)
                break
            except ConnectionRefusedError:
                if attempt == 49:
                    raise
                await asyncio.sleep(0.1)
        devices.append(Device(*streams))
        return devices[-1]

    yield open_one
    for device in devices:
        await device.close()


@pytest.fixture
async def open_gate(server: Client) -> AsyncIterator[Gate]:
    """A gate that lets in everybody who knocks properly."""
    gate = gate_for_all()
    await gate.open(server)
    yield gate
    await gate.close()
