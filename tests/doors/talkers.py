"""Devices that say one numbered message after the other, and remember what was acknowledged, whatever is killed."""

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from doors.broker.devices import Device, HungUpError, text
from doors.mqtt import Names, knock

LARGEST = 5 * 1024
ANSWER_SECONDS = 5.0
PAUSES = (0.005, 0.05)

PUBLISH, DUP, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x30, 0x08, 0x40, 0x50, 0x62, 0x70


@dataclass
class Talker:
    """At QoS 1 a message that was not acknowledged is not said again; at QoS 2 it is, as the protocol has it, until it
    is. ``number``: of the last message that was said.
    """

    product_key: str
    names: Names
    qos: int
    chance: random.Random
    number: int = 0
    acknowledged: set[int] = field(default_factory=set)
    _payload: bytes = b""
    _received: bool = False  # the server has said that it has the message of QoS 2

    async def live(self, said: dict[str, Any], over: asyncio.Event) -> None:
        """Knock, talk, and knock again."""
        while not over.is_set():
            knocked = await knock(said, self.names, clean=self.qos < 2)
            if knocked.device is None:
                await asyncio.sleep(self.chance.uniform(0.1, 0.5))
                continue
            try:
                while not over.is_set():
                    await self._talk(knocked.device)
                    await asyncio.sleep(self.chance.uniform(*PAUSES))
            except (HungUpError, OSError, TimeoutError):
                pass
            finally:
                await knocked.device.close()

    async def _talk(self, device: Device) -> None:
        if self.qos < 2 or self.number == len(self.acknowledged):
            self.number, self._received = self.number + 1, False
            size = self.chance.choice([1, 511, 512, 513, self.chance.randint(1, LARGEST)])
            self._payload = self.chance.randbytes(size)
        packet_id = struct.pack(">H", self.number % 0xFFFF + 1)
        message = text(f"up/{self.product_key}/{self.names.device_key}/n/{self.number}") + packet_id + self._payload
        if self.qos == 1:
            await device.send(PUBLISH | 1 << 1, message)
            await _heard(device, PUBACK, packet_id)
        else:
            if not self._received:
                await device.send(PUBLISH | DUP | 2 << 1, message)
                await _heard(device, PUBREC, packet_id)
            self._received = True
            await device.send(PUBREL, packet_id)
            await _heard(device, PUBCOMP, packet_id)
        self.acknowledged.add(self.number)


async def _heard(device: Device, kind: int, packet_id: bytes) -> None:
    while await device.packet(within=ANSWER_SECONDS) != (kind, packet_id):
        pass


@asynccontextmanager
async def talking(said: dict[str, Any], talkers: list[Talker]) -> AsyncIterator[None]:
    """They talk as long as this lasts."""
    over = asyncio.Event()
    lives = [asyncio.create_task(each.live(said, over)) for each in talkers]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*lives)
