"""Firmware files on disk, each under the hash of its bytes, so that one that is uploaded twice lies there once.

A file is received beside its place and put there whole; what a death leaves half received is cleared away a day later.
"""

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MIB = 2**20
_HALF_RECEIVED = ".half-received"
_DAY_SECONDS = 24 * 3600


class TooLarge(Exception):
    """More bytes than a file may have."""


@dataclass(frozen=True, slots=True)
class Received:
    """A file beside its place: how many bytes it has, and their hash in hex."""

    path: Path
    size: int
    sha256: str


class Shelf:
    """A folder of files, which several licet processes may share."""

    def __init__(self, folder: Path, *, most_mib: int) -> None:
        self.most_bytes = most_mib * MIB
        self._folder = folder

    async def receive(self, chunks: AsyncIterator[bytes]) -> Received:
        """Write what comes, chunk by chunk, and never hold more of it. Raises ``TooLarge``, and then keeps nothing."""
        path, file = await asyncio.to_thread(self._beside)
        try:
            with file:
                size, sha256 = await self._write(file, chunks)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Received(path, size, sha256)

    async def _write(self, file: BinaryIO, chunks: AsyncIterator[bytes]) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self.most_bytes:
                raise TooLarge
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(_settle, file)
        return size, digest.hexdigest()

    async def put(self, received: Received) -> None:
        """Put a file in its place, for good; the same bytes may lie there already."""
        await asyncio.to_thread(self._put, received)

    async def discard(self, received: Received) -> None:
        """Forget a file, if it was not put in its place."""
        await asyncio.to_thread(received.path.unlink, missing_ok=True)

    async def remove(self, sha256: str) -> None:
        await asyncio.to_thread(self._place(sha256).unlink, missing_ok=True)

    async def look_for(self, sha256: str) -> None:
        """See that the file is there. Raises ``FileNotFoundError``: what the books have, the folder has to have."""
        await asyncio.to_thread(self._place(sha256).stat)

    async def open(self, sha256: str, first: int) -> BinaryIO:
        """The file, to be read from byte ``first`` on."""
        return await asyncio.to_thread(self._open, sha256, first)

    def _open(self, sha256: str, first: int) -> BinaryIO:
        file = self._place(sha256).open("rb")
        file.seek(first)
        return file

    def _beside(self) -> tuple[Path, BinaryIO]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in self._folder.glob(f"*{_HALF_RECEIVED}"):
            if time.time() - old.stat().st_mtime > _DAY_SECONDS:
                old.unlink(missing_ok=True)
        path = self._folder / f"{secrets.token_hex(16)}{_HALF_RECEIVED}"
        return path, os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def _put(self, received: Received) -> None:
        received.path.replace(self._place(received.sha256))
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _place(self, sha256: str) -> Path:
        return self._folder / sha256


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
