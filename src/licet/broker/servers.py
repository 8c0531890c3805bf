"""What licet asks of the nats-servers themselves: which there are, who is connected to each, and to hang up on one.

Every question goes out on the system account's connection. Each server of a cluster knows only its own connections, so
a question about a device is put to all of them.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import nats.errors
from nats.aio.client import Client

from licet.broker.server import DEVICES

PAGE = 1_000

# Pages are offsets into a list that shrinks while it is read: each begins this far before the end of the last.
OVERLAP = 50

ANSWER_SECONDS = 5.0
# Whatever server has not said within this that it exists, does not.
SILENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection of the devices' account: where it is, and whose it says it is."""

    server_id: str
    cid: int
    client_id: str


class _Conn(msgspec.Struct):
    cid: int
    mqtt_client: str = ""


class _Conns(msgspec.Struct):
    connections: list[_Conn] | None = None


class _Listed(msgspec.Struct):
    data: _Conns


class _Server(msgspec.Struct):
    id: str


class _Statsz(msgspec.Struct):
    active_servers: int


class _Present(msgspec.Struct):
    server: _Server
    statsz: _Statsz


_listed = msgspec.json.Decoder(_Listed)
_present = msgspec.json.Decoder(_Present)


class Servers:
    """The nats-servers of one cluster."""

    def __init__(self, system: Client) -> None:
        self._system = system

    async def ids(self) -> list[str]:
        """All servers that say they are there."""
        found: set[str] = set()
        inbox = self._system.new_inbox()
        answers = await self._system.subscribe(inbox)
        try:
            await self._system.publish("$SYS.REQ.SERVER.PING.STATSZ", reply=inbox)
            expected = 1
            while len(found) < expected:
                present = _present.decode((await answers.next_msg(timeout=SILENCE_SECONDS)).data)
                found.add(present.server.id)
                expected = max(expected, present.statsz.active_servers)
        except nats.errors.TimeoutError:
            # One of the expected is going down or has just gone.
            pass
        finally:
            await answers.unsubscribe()
        return sorted(found)

    async def named(self, server_ids: list[str], client_id: str) -> list[Connection]:
        """Where this client id is connected just now."""
        pages = await asyncio.gather(*(self._page(server, 0, PAGE, client_id) for server in server_ids))
        return [connection for page in pages for connection in page]

    async def connections(self, server_id: str, page: int = PAGE) -> AsyncIterator[list[Connection]]:
        """Everybody connected to one server, oldest first, a page at a time. Nobody who stays is left out."""
        offset, last = 0, 0
        while True:
            found = await self._page(server_id, offset, page)
            if offset and (not found or found[0].cid > last):
                # So many have left that somebody may be hidden before this page.
                offset = max(0, offset - page)
                continue
            yield [connection for connection in found if connection.cid > last]
            if len(found) < page:
                return
            last = max(last, found[-1].cid)
            offset += page - min(OVERLAP, page // 2)

    async def hang_up(self, connection: Connection) -> None:
        """End one connection. That it has ended already is no matter."""
        await self._ask(f"$SYS.REQ.SERVER.{connection.server_id}.KICK", {"cid": connection.cid})

    async def _page(self, server_id: str, offset: int, limit: int, client_id: str = "") -> list[Connection]:
        asked = {
            "auth": True,
            "acc": DEVICES,
            "sort": "cid",
            "offset": offset,
            "limit": limit,
            "mqtt_client": client_id,
        }
        told = _listed.decode(await self._ask(f"$SYS.REQ.SERVER.{server_id}.CONNZ", asked)).data.connections
        return [Connection(server_id, conn.cid, conn.mqtt_client) for conn in told or ()]

    async def _ask(self, subject: str, asked: dict[str, object]) -> bytes:
        answer = await self._system.request(subject, json.dumps(asked).encode(), timeout=ANSWER_SECONDS)
        return bytes(answer.data)
