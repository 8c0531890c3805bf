"""Devices that speak MQTT in frames packed by hand, and the broker they speak to.

They are small on purpose: they can say what no well-behaved client would, and a thousand of them are cheap. Behaviour
that a stock client must see is tested with stock clients.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nats.aio.client import Client

from licet.broker import wire
from licet.broker.server import server_config
from licet.broker.tokens import issuer_of, new_seed
from licet.run.nats_engine import Listen, Nats

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
PASSWORD = 'a "password" of licet\'s own'
SEED = new_seed()


@dataclass
class Broker:
    """One nats-server, as licet configures it."""

    engine: Nats
    seed: str = SEED
    password: str = PASSWORD

    @property
    def url(self) -> str:
        return self.engine.url

    @property
    def mqtt_port(self) -> int:
        return self.engine.listen.mqtt_port


def configured(listen: Listen, store: Path, **settings: float) -> str:
    return server_config(
        host=listen.host,
        nats_port=listen.nats_port,
        mqtt_port=listen.mqtt_port,
        store_dir=store,
        issuer=issuer_of(SEED),
        password=PASSWORD,
        **settings,  # type: ignore[arg-type]
    )


def connected(broker: Broker, user: str) -> AbstractAsyncContextManager[Client]:
    return wire.connected([broker.url], user, broker.password)


async def until(condition: Callable[[], bool], *, within: float = 10.0) -> None:
    """Return when it holds."""
    for _ in range(int(within * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")


class HungUpError(Exception):
    """The server hung up."""


class Device:
    """An MQTT 3.1.1 client with nothing in between."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._packet_id = 0

    async def connect(
        self,
        client_id: str,
        user: str | None,
        password: str | None = None,
        *,
        clean: bool = True,
        will: str = "",
        within: float = 10.0,
    ) -> int:
        """Knock, and return the CONNACK's code."""
        flags = 0x02 * clean | 0x80 * (user is not None) | 0x40 * (password is not None) | 0x04 * bool(will)
        body = b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x3c" + text(client_id)
        if will:
            body += text(will) + text("gone")
        for shown in (user, password):
            if shown is not None:
                body += text(shown)
        await self.send(0x10, body)
        kind, answer = await self.packet(within=within)
        assert kind == 0x20, hex(kind)
        return answer[1]

    async def subscribe(self, topic_filter: str, qos: int = 0) -> int:
        """The granted QoS, or 0x80."""
        await self.send(0x82, self._next_id() + text(topic_filter) + bytes([qos]))
        while True:
            kind, body = await self.packet()
            if kind == 0x90:
                return body[2]

    async def publish(self, topic: str, payload: bytes = b"hello", qos: int = 0, *, retain: bool = False) -> None:
        """Publish, and with QoS 1 wait for the PUBACK."""
        await self.send(0x30 | qos << 1 | retain, text(topic) + (self._next_id() if qos else b"") + payload)
        if qos:
            kind, _ = await self.packet()
            assert kind == 0x40, hex(kind)

    async def message(self, *, within: float = 5.0) -> tuple[str, bytes]:
        """The next message: its topic and payload."""
        while True:
            kind, body = await self.packet(within=within)
            if kind & 0xF0 != 0x30:
                continue
            length = int.from_bytes(body[:2])
            topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
            if kind >> 1 & 3:
                await self.send(0x40, rest[:2])
                rest = rest[2:]
            return topic, rest

    async def ping(self) -> None:
        await self.send(0xC0, b"")
        assert (await self.packet())[0] == 0xD0

    async def hung_up(self, *, within: float) -> None:
        """Return when the server has hung up."""
        try:
            while True:
                await self.packet(within=within)
        except HungUpError:
            return

    async def leave(self) -> None:
        """Say goodbye, and return when the server has heard it."""
        await self.send(0xE0, b"")
        await self.hung_up(within=5)

    async def send(self, kind: int, body: bytes) -> None:
        await self.send_raw(bytes([kind]) + length(len(body)) + body)

    async def send_raw(self, frame: bytes) -> None:
        self._writer.write(frame)
        await self._writer.drain()

    async def packet(self, *, within: float = 10.0) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(within):
                kind = (await self._reader.readexactly(1))[0]
                size = shift = 0
                while True:
                    octet = (await self._reader.readexactly(1))[0]
                    size |= (octet & 0x7F) << shift
                    shift += 7
                    if octet < 0x80:
                        return kind, await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as hung:
            raise HungUpError from hung

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):  # the server may have been first
            await self._writer.wait_closed()

    def _next_id(self) -> bytes:
        self._packet_id += 1
        return struct.pack(">H", self._packet_id)


def text(said: str) -> bytes:
    raw = said.encode("utf-8", "surrogateescape")
    return struct.pack(">H", len(raw)) + raw


def length(size: int) -> bytes:
    octets = bytearray()
    while True:
        size, octet = divmod(size, 128)
        octets.append(octet | 0x80 * bool(size))
        if not size:
            return bytes(octets)


Dial = Callable[..., Awaitable[Device]]
