"""Who is online, and who is put out."""

import asyncio
from collections.abc import Callable

import nats.errors
import pytest
from doors.broker.devices import Broker, Device, Dial, configured, connected, until
from doors.broker.open_gate import PK, SECRET, gate_for_all
from nats.aio.client import Client

from licet.broker.gate import Gate
from licet.broker.kick import put_out
from licet.broker.presence import Presence
from licet.broker.server import LICET, LICET_SYS
from licet.broker.servers import Servers
from licet.broker.streams import make_streams
from licet.run.nats_engine import Nats

OTHER = "Humidistat1"


async def seat(dial: Dial, broker: Broker, device_key: str = "dev1", product_key: str = PK) -> Device:
    device = await dial(broker)
    assert await device.connect(f"{product_key}-{device_key}", f"{product_key}/{device_key}", SECRET) == 0
    return device


@pytest.fixture
def servers(system: Client) -> Servers:
    return Servers(system)


@pytest.fixture
async def presence(system: Client, open_gate: Gate) -> Presence:
    presence = Presence()
    await presence.open(system)
    return presence


async def test_who_comes_is_online_and_who_goes_is_not(presence: Presence, broker: Broker, dial: Dial) -> None:
    device, other = await seat(dial, broker), await seat(dial, broker, product_key=OTHER)
    await until(lambda: presence.online(PK, "dev1") and presence.online(OTHER, "dev1"))
    assert not presence.online(PK, "dev2")
    assert presence.counts() == {PK: 1, OTHER: 1}
    await device.close()
    await until(lambda: not presence.online(PK, "dev1"))
    assert (presence.count(PK), presence.count(OTHER)) == (0, 1)
    await other.close()
    await until(lambda: presence.counts() == {})


async def test_a_device_that_comes_back_before_it_was_missed_is_online(
    presence: Presence, broker: Broker, dial: Dial
) -> None:
    first = await seat(dial, broker)
    second = await seat(dial, broker)  # same client id: the server hangs up on the first
    await first.hung_up(within=5)
    await asyncio.sleep(0.1)
    assert presence.online(PK, "dev1")
    await second.close()
    await until(lambda: not presence.online(PK, "dev1"))


async def test_who_came_while_nobody_listened_is_found(
    system: Client, servers: Servers, open_gate: Gate, broker: Broker, dial: Dial
) -> None:
    await asyncio.gather(*(seat(dial, broker, f"dev{n}") for n in range(3)))
    presence = Presence()
    assert presence.counts() == {}
    await presence.reconcile(servers)
    assert presence.counts() == {PK: 3}


async def test_who_went_while_nobody_listened_is_missed(
    servers: Servers, open_gate: Gate, broker: Broker, dial: Dial
) -> None:
    device, presence = await seat(dial, broker), Presence()
    await presence.reconcile(servers)
    assert presence.online(PK, "dev1")
    await device.close()
    await asyncio.sleep(0.1)
    await presence.reconcile(servers)
    assert presence.counts() == {}


async def test_it_is_reconciled_when_there_is_reason_to(
    servers: Servers, open_gate: Gate, broker: Broker, dial: Dial
) -> None:
    await seat(dial, broker)
    presence = Presence(reconcile_seconds=0.05)
    over = asyncio.Event()
    keeping = asyncio.create_task(presence.keep(servers, over))
    await until(lambda: presence.online(PK, "dev1"))
    over.set()
    await keeping


async def test_what_is_heard_while_the_list_is_read_is_newer(
    presence: Presence, servers: Servers, broker: Broker, dial: Dial
) -> None:
    """Devices come and go all the while; when it is quiet, what is known is what is true."""
    device_keys = [f"dev{n}" for n in range(40)]
    seated = {device_key: await seat(dial, broker, device_key) for device_key in device_keys}

    async def fidget() -> None:
        for device_key in device_keys[::2]:
            await seated.pop(device_key).close()
        for device_key in device_keys[::4]:
            seated[device_key] = await seat(dial, broker, device_key)

    async def read() -> None:
        for _ in range(30):
            await presence.reconcile(servers)

    await asyncio.gather(fidget(), read())
    await until(lambda: presence.counts() == {PK: len(seated)})
    assert all(presence.online(PK, device_key) == (device_key in seated) for device_key in device_keys)


async def test_bootstrap_sessions_and_licet_itself_are_not_devices(presence: Presence, servers: Servers) -> None:
    await presence.reconcile(servers)
    assert presence.counts() == {}


@pytest.mark.parametrize("page", [2, 7, 40, 1000])
async def test_the_servers_list_is_read_in_pages(
    open_gate: Gate, servers: Servers, broker: Broker, dial: Dial, page: int
) -> None:
    await asyncio.gather(*(seat(dial, broker, f"dev{n}") for n in range(40)))
    (server_id,) = await servers.ids()
    found = [
        connection.client_id
        async for connections in servers.connections(server_id, page)
        for connection in connections
        if connection.client_id
    ]
    assert sorted(found) == sorted(f"{PK}-dev{n}" for n in range(40))


async def test_nobody_who_stays_is_left_out_of_a_list_that_shrinks(
    open_gate: Gate, servers: Servers, broker: Broker, dial: Dial
) -> None:
    devices = [await seat(dial, broker, f"dev{n:03}") for n in range(60)]
    (server_id,) = await servers.ids()
    found: list[str] = []
    async for connections in servers.connections(server_id, 10):
        found += [connection.client_id for connection in connections if connection.client_id]
        if len(found) < 30:
            # Most of those on the page that was just read leave.
            await asyncio.gather(*(device.close() for device in devices[len(found) - 8 : len(found)]))
            await asyncio.sleep(0.05)
    assert found == sorted(set(found))
    assert set(found) == {f"{PK}-dev{n:03}" for n in range(60)}


async def test_a_device_is_put_out_by_name(presence: Presence, servers: Servers, broker: Broker, dial: Dial) -> None:
    device, other = await seat(dial, broker, "dev1"), await seat(dial, broker, "dev11")
    assert await put_out(servers, [(PK, "dev1"), (PK, "never-came")]) == 1
    await device.hung_up(within=2)
    await other.ping()
    await until(lambda: presence.counts() == {PK: 1})
    assert await put_out(servers, [(PK, "dev1")]) == 0


async def test_all_devices_of_a_product_are_put_out(
    presence: Presence, servers: Servers, broker: Broker, dial: Dial
) -> None:
    devices = await asyncio.gather(*(seat(dial, broker, f"dev{n}") for n in range(30)))
    other = await seat(dial, broker, product_key=OTHER)
    assert await put_out(servers, [], [PK]) == 30
    await asyncio.gather(*(device.hung_up(within=2) for device in devices))
    await other.ping()
    await until(lambda: presence.counts() == {OTHER: 1})


async def test_many_devices_are_put_out_by_reading_the_list_once(
    servers: Servers, open_gate: Gate, broker: Broker, dial: Dial
) -> None:
    devices = await asyncio.gather(*(seat(dial, broker, f"dev{n}") for n in range(30)))
    assert await put_out(servers, [(PK, f"dev{n}") for n in range(25)]) == 25
    await asyncio.gather(*(device.hung_up(within=2) for device in devices[:25]))
    await asyncio.gather(*(device.ping() for device in devices[25:]))


async def test_nobody_is_asked_for_when_nobody_is_unwanted(servers: Servers) -> None:
    assert await put_out(servers, []) == 0


@pytest.fixture
def cluster(start_nats: Callable[..., Nats], unused_tcp_port_factory: Callable[[], int]) -> list[Broker]:
    """Two servers that know each other."""
    routes = [unused_tcp_port_factory(), unused_tcp_port_factory()]
    started = []
    for n, route in enumerate(routes):
        other = routes[1 - n]

        def config(listen: object, store: object, n: int = n, route: int = route, other: int = other) -> str:
            text = configured(listen, store, server_name=f"licet-{n}")  # type: ignore[arg-type]
            return (
                text + f'cluster {{ name: licet, listen: "127.0.0.1:{route}", routes: ["nats://127.0.0.1:{other}"] }}\n'
            )

        started.append(Broker(start_nats(config)))
    return started


async def elected(server: Client) -> None:
    """Return when the cluster has agreed on who leads, so that streams can be made."""
    for _ in range(30):
        try:
            await make_streams(server.jetstream())
        except nats.errors.Error:
            await asyncio.sleep(0.5)
        else:
            return
    raise AssertionError("nobody was elected")


async def test_devices_are_seen_and_put_out_on_every_server_of_a_cluster(cluster: list[Broker], dial: Dial) -> None:
    one, two = cluster
    async with connected(one, LICET) as server, connected(one, LICET_SYS) as system:
        servers = Servers(system)
        gate = gate_for_all()
        await gate.open(server)
        await elected(server)
        assert len(await servers.ids()) == 2
        near, far = await seat(dial, one, "near"), await seat(dial, two, "far1")
        presence = Presence()
        await presence.reconcile(servers)
        assert presence.online(PK, "near")
        assert presence.online(PK, "far1")
        assert await put_out(servers, [(PK, "far1")]) == 1
        await far.hung_up(within=2)
        await near.ping()
        await gate.close()
