"""Keeps the engines and licet itself running: whoever ends is started again, and nobody is left when we stop."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from licet.run.child import NotReadyError, make_room

# Who lived this long has earned a fresh start; who did not waits twice as long as the last time.
SETTLED_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
LOOK_AT_LOGS_EVERY = 300.0


class Child(Protocol):
    """What the supervisor needs to know of an engine, or of licet."""

    name: str
    log: Path
    process: subprocess.Popen[bytes] | None

    def prepare(self) -> None:
        """Get ready to be started, now or again."""

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start, without waiting."""

    def ready(self) -> bool:
        """Does it answer?"""

    def stop(self) -> None:
        """Stop in order, and wait for the end."""


class Supervisor:
    """Starts children in the order they are given, keeps each of them alive, stops them in reverse."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._children: list[Child] = []
        self._keepers: list[asyncio.Task[None]] = []
        self.changed: Callable[[], None] = lambda: None
        """Called whenever a child has been started again, and so has another pid."""

    async def start(self, child: Child, *, within: float = 60.0) -> None:
        """Start a child, wait until it is ready and keep it alive from then on. Raises NotReadyError."""
        await asyncio.to_thread(child.prepare)
        self._children.append(child)
        process = child.spawn()
        await _until_ready(child, process, within)
        self._keepers.append(asyncio.create_task(self._keep(child, process), name=child.name))

    async def wait(self) -> None:
        """Go on until cancelled. A keeper that fails is a fault of ours and ends everything."""
        await asyncio.gather(self._look_at_logs(), *self._keepers)

    async def stop(self) -> None:
        """Stop every child, the last started first."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for child in reversed(self._children):
            await asyncio.to_thread(child.stop)

    async def _keep(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            status = await _end_of(process)
            pause = FIRST_PAUSE if time.monotonic() - began > SETTLED_SECONDS else min(pause * 2, LONGEST_PAUSE)
            self._say(f"{child.name} ended ({_how(status)}); starting it again")
            await asyncio.sleep(pause)
            await asyncio.to_thread(child.prepare)
            # Always from this thread: the kernel ends a child with the thread that started it.
            process = child.spawn()
            self.changed()

    async def _look_at_logs(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AT_LOGS_EVERY)
            for log in {child.log for child in self._children}:
                make_room(log)


async def _until_ready(child: Child, process: subprocess.Popen[bytes], within: float) -> None:
    give_up = time.monotonic() + within
    while not await asyncio.to_thread(child.ready):
        if process.poll() is not None:
            raise NotReadyError(
                f"{child.name} ended ({_how(process.returncode)}) before it was ready{_last_words(child)}"
            )
        if time.monotonic() > give_up:
            raise NotReadyError(f"{child.name} was not ready within {within:.0f} seconds{_last_words(child)}")
        await asyncio.sleep(0.05)


async def _end_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a child without a thread and without asking again and again."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    handle = os.pidfd_open(process.pid)
    try:
        loop.add_reader(handle, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    return process.wait()


def _how(status: int) -> str:
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"


def _last_words(child: Child) -> str:
    if not child.log.exists():
        return ""
    lines = child.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    return "".join(f"\n  {line}" for line in [f"the end of {child.log}:", *lines])
