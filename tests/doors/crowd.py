"""Devices that live: they knock, stay a while, leave or are hung up on, and knock again, whatever happens to licet."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from doors.broker.devices import Device
from doors.mqtt import Names, allow_many_connections, knock

STAYS = (0.2, 3.0)
PAUSES = (0.1, 0.8)


class Crowd:
    """``let_in``: every device that was ever told so. ``told``: how often who knocked heard what."""

    def __init__(self, said: dict[str, Any], everybody: list[Names], seed: int) -> None:
        self.let_in: set[str] = set()
        self.told: Counter[int | None] = Counter()
        self._said = said
        self._everybody = everybody
        self._seed = seed
        self._over = asyncio.Event()

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """They live as long as this lasts; whoever has knocked by then is still answered."""
        allow_many_connections()
        lives = [asyncio.create_task(self._live(names)) for names in self._everybody]
        try:
            yield
        finally:
            self._over.set()
            await asyncio.gather(*lives)

    async def _live(self, names: Names) -> None:
        chance = random.Random(f"{self._seed} {names.device_key}")
        await self._pause(chance.uniform(0, STAYS[1]))
        while not self._over.is_set():
            knocked = await knock(self._said, names)
            self.told[knocked.code] += 1
            if knocked.device is not None:
                self.let_in.add(names.device_key)
                await self._stay(knocked.device, chance.uniform(*STAYS))
            await self._pause(chance.uniform(*PAUSES))

    async def _stay(self, device: Device, seconds: float) -> None:
        hung_up = asyncio.create_task(device.hung_up(within=3600))
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait([hung_up, over], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (hung_up, over):
            task.cancel()
        await asyncio.gather(hung_up, over, return_exceptions=True)
        await device.close()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return
