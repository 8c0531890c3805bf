"""What comes to hold after a while: asked again and again, and not for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")

PAUSE_SECONDS = 0.05


async def eventually(
    read: Callable[[], Awaitable[Found]], right: Callable[[Found], bool], *, within: float = 15.0
) -> Found:
    """The first answer that is right."""
    for _ in range(int(within / PAUSE_SECONDS)):
        if right(found := await read()):
            return found
        await asyncio.sleep(PAUSE_SECONDS)
    raise AssertionError(f"it never came to hold: {found!r}")
