"""Who is online, as the servers tell it.

A server announces who comes and goes; one that dies announces nothing, and announcements made while licet was away are
lost. So what is heard is reconciled with the servers' own lists: at the start, after every reconnection and now and
then. What is heard while a list is being read is newer than the list and wins.

A device that comes back before its old connection was missed is announced as *come* and then as *gone*: the latter is
about the old connection, which is known by its number, and changes nothing.
"""

import asyncio
import logging
from sys import intern

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from licet.broker.knock import device_of
from licet.broker.server import DEVICES
from licet.broker.servers import Servers
from licet.broker.wire import settled

RECONCILE_SECONDS = 300.0
RETRY_SECONDS = 1.0

# The number of a connection at one server is counted from 1; the server's place in our list is put above it.
_CID_BITS = 48

log = logging.getLogger(__name__)


class _Server(msgspec.Struct):
    id: str


class _Client(msgspec.Struct):
    id: int
    client_id: str = ""


class _Announced(msgspec.Struct):
    server: _Server
    client: _Client


_announced = msgspec.json.Decoder(_Announced)


class Presence:
    """Which devices are connected. One number per device, kept under its product."""

    def __init__(self, reconcile_seconds: float = RECONCILE_SECONDS) -> None:
        self._online: dict[str, dict[str, int]] = {}
        self._server_numbers: dict[str, int] = {}
        # What was heard since the list that is being read was begun: whose, which connection, came or went.
        self._newer: dict[tuple[str, str], tuple[int, bool]] | None = None
        self._reconcile_seconds = reconcile_seconds
        self._again = asyncio.Event()

    def online(self, product_key: str, device_key: str) -> bool:
        """Whether a device is connected."""
        return device_key in self._online.get(product_key, ())

    def count(self, product_key: str) -> int:
        """How many devices of a product are connected."""
        return len(self._online.get(product_key, ()))

    def counts(self) -> dict[str, int]:
        """How many devices are connected, by product."""
        return {product_key: len(devices) for product_key, devices in self._online.items()}

    def reconcile_soon(self) -> None:
        """Announcements may have been missed: read the servers' lists again."""
        self._again.set()

    async def open(self, system: Client) -> None:
        """Begin to listen."""
        for subject, heard in (("CONNECT", self._come), ("DISCONNECT", self._gone)):
            await system.subscribe(
                f"$SYS.ACCOUNT.{DEVICES}.{subject}", cb=heard, pending_msgs_limit=-1, pending_bytes_limit=-1
            )
        await settled(system)
        self.reconcile_soon()

    async def keep(self, servers: Servers, over: asyncio.Event) -> None:
        """Reconcile whenever there is reason to, until it is ``over``; asking for it makes that noticed at once."""
        while not over.is_set():
            try:
                async with asyncio.timeout(self._reconcile_seconds):
                    await self._again.wait()
            except TimeoutError:
                pass
            self._again.clear()
            if over.is_set():
                return
            try:
                await self.reconcile(servers)
            except (nats.errors.Error, msgspec.DecodeError) as fault:
                log.warning("Who is online could not be read (%r); trying again.", fault)
                await asyncio.sleep(RETRY_SECONDS)
                self._again.set()

    async def reconcile(self, servers: Servers) -> None:
        """Read the servers' own lists, once."""
        self._newer = {}
        listed: dict[str, dict[str, int]] = {}
        try:
            for server_id in await servers.ids():
                async for page in servers.connections(server_id):
                    for connection in page:
                        if device := device_of(connection.client_id):
                            _note(listed, device, self._number(connection.server_id, connection.cid), came=True)
            for device, (number, came) in self._newer.items():
                _note(listed, device, number, came=came)
            self._online = listed
        finally:
            self._newer = None

    async def _come(self, announced: Msg) -> None:
        self._hear(announced, came=True)

    async def _gone(self, announced: Msg) -> None:
        self._hear(announced, came=False)

    def _hear(self, announced: Msg, *, came: bool) -> None:
        told = _announced.decode(announced.data)
        device = device_of(told.client.client_id)
        if device is None:
            return
        number = self._number(told.server.id, told.client.id)
        _note(self._online, device, number, came=came)
        if self._newer is not None and (came or self._newer.get(device, (number, True))[0] == number):
            self._newer[device] = (number, came)

    def _number(self, server_id: str, cid: int) -> int:
        place = self._server_numbers.setdefault(server_id, len(self._server_numbers))
        return place << _CID_BITS | cid


def _note(online: dict[str, dict[str, int]], device: tuple[str, str], number: int, *, came: bool) -> None:
    product_key, device_key = device
    devices = online.get(product_key, {})
    if came:
        online.setdefault(intern(product_key), devices)[device_key] = number
    elif devices.get(device_key) == number:
        del devices[device_key]
        if not devices:
            del online[product_key]
