"""Devices by the thousand: real connections from one process, frames packed by hand, all of them at once.

How one of them speaks is in ``doors.broker.devices``; here is how many knock, what each was told, and who stays.
"""

import asyncio
import resource
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from doors.broker.devices import Device, HungUpError

LET_IN, REFUSED = 0, 5

# A thousand that come at once on a busy machine take a while; the server itself says no much sooner.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Names:
    """What a device shows at the door."""

    device_key: str
    client_id: str
    user: str
    secret: str

    @classmethod
    def of(cls, product_key: str, device_key: str, secret: str) -> "Names":
        return cls(device_key, f"{product_key}-{device_key}", f"{product_key}/{device_key}", secret)


@dataclass(frozen=True, slots=True)
class Knocked:
    """One knock, and what came of it: the CONNACK's code, None if the server hung up without a word."""

    names: Names
    code: int | None
    device: Device | None = None

    @property
    def let_in(self) -> bool:
        return self.code == LET_IN


async def knock(said: dict[str, Any], names: Names, *, clean: bool = True) -> Knocked:
    """Dial and knock. The connection of who is let in stays open; every other one is closed."""
    try:
        device = Device(*await asyncio.open_connection(said["mqtt_host"], said["mqtt_port"]))
    except OSError:
        return Knocked(names, None)
    try:
        code = await device.connect(names.client_id, names.user, names.secret, clean=clean, within=PATIENCE)
    except (HungUpError, OSError):
        code = None
    if code == LET_IN:
        return Knocked(names, code, device)
    await device.close()
    return Knocked(names, code)


@asynccontextmanager
async def storm(said: dict[str, Any], everybody: Iterable[Names]) -> AsyncIterator[list[Knocked]]:
    """Everybody knocks at once; who is let in stays connected until the end."""
    allow_many_connections()
    knocked = await asyncio.gather(*(knock(said, names) for names in everybody))
    try:
        yield knocked
    finally:
        await asyncio.gather(*(each.device.close() for each in knocked if each.device is not None))


def codes(knocked: Iterable[Knocked]) -> Counter[int | None]:
    """How many were told what."""
    return Counter(each.code for each in knocked)


def allow_many_connections() -> None:
    """An ordinary user often starts with 1,024 open files, though more are permitted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8_192 if hard == resource.RLIM_INFINITY else min(8_192, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
