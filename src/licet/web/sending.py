"""A firmware goes out to a device, piece by piece, and its bytes are counted as they are sent.

What was handed to the connection is sent; whether it arrived, a device says by what it asks for next.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import anyio
from fastapi.responses import StreamingResponse
from starlette.types import Send

from licet import ota
from licet.ota import Fetch
from licet.web.door import Door
from licet.web.ranges import Span

PIECE_BYTES = 256 * 1024
COUNTED_EVERY = 4 * 2**20  # bytes; a death of licet's loses count of at most so many, and of no upgrade


class Sending(StreamingResponse):
    """The answer to a fetch; when the device hangs up, what was sent until then is counted all the same."""

    def __init__(self, door: Door, fetch: Fetch, span: Span, *, status: int, headers: Mapping[str, str]) -> None:
        self._pieces = pieces(door, fetch, span)
        super().__init__(self._pieces, status, headers, "application/octet-stream")

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._pieces):
            await super().stream_response(send)


async def pieces(door: Door, fetch: Fetch, span: Span) -> AsyncGenerator[bytes, None]:
    """The bytes of the span. Whoever asks for the next piece has sent the one before.

    1. Read a piece and let it be sent.
    2. Now and then, and when nobody asks for more, write down how many were sent.
    3. The last byte of the file is held back until the books have it that the upgrade is complete: a device that has
       the whole file was charged, whatever dies. If that byte gets lost, it is sent again at no cost.
    """
    at = counted = span.first
    file = await door.shelf.open(fetch.firmware.sha256, span.first)
    try:
        while at < span.stop:
            last = span.stop == fetch.firmware.bytes and at == span.stop - 1
            if last or at - counted >= COUNTED_EVERY:
                await ota.was_sent(door.books, fetch, at - counted + last, last=last, now=door.clock())
                counted = at + last
            up_to = span.stop - (span.stop == fetch.firmware.bytes and not last)
            piece = await asyncio.to_thread(file.read, min(PIECE_BYTES, up_to - at))
            if not piece:
                raise EOFError(f"{fetch.firmware.id} is shorter than it was")
            yield piece
            at += len(piece)
    finally:
        with anyio.CancelScope(shield=True):
            file.close()
            if at > counted:
                await ota.was_sent(door.books, fetch, at - counted, last=False, now=door.clock())
