"""What waits is answered in batches: one by one when little waits, hundreds at a time when much does.

Nothing is held back to make a batch larger. A lane takes what is waiting, answers it, and looks again; while all lanes
are under way more comes in, and the next batch is as large as the load made it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Waiting = TypeVar("Waiting")


class Lanes(Generic[Waiting]):
    """So many batches under way at once, each of so many at most. ``answer`` must not raise for one bad ask."""

    def __init__(self, answer: Callable[[list[Waiting]], Awaitable[None]], *, batch: int, lanes: int) -> None:
        self._answer = answer
        self._batch = batch
        self._free = lanes
        self._waiting: deque[Waiting] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    def put(self, ask: Waiting) -> None:
        """Let one more wait. Returns at once."""
        self._waiting.append(ask)
        if self._free:
            self._free -= 1
            task = asyncio.get_running_loop().create_task(self._drive())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    def __len__(self) -> int:
        return len(self._waiting)

    async def drain(self) -> None:
        """Return when all that waits has been answered."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _drive(self) -> None:
        try:
            while self._waiting:
                take = min(self._batch, len(self._waiting))
                await self._answer([self._waiting.popleft() for _ in range(take)])
        finally:
            self._free += 1
