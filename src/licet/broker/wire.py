"""licet's own connections to the server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from nats.aio.client import Client

CONNECT_SECONDS = 2
SETTLE_SECONDS = 5.0

# A server that does not answer this many seconds' ping twice is gone, whatever the connection says.
PING_SECONDS = 5

log = logging.getLogger(__name__)


@asynccontextmanager
async def connected(
    urls: Sequence[str], user: str, password: str, closed: Callable[[], Awaitable[None]] | None = None
) -> AsyncIterator[Client]:
    """One connection, as long as it lasts. What hangs on it is made anew with the next, so it never mends itself."""

    async def troubled(error: Exception) -> None:
        log.debug("%s: %r", user, error)

    connection = Client()
    try:
        await connection.connect(
            servers=list(urls),
            user=user,
            password=password,
            name=user,
            allow_reconnect=False,
            connect_timeout=CONNECT_SECONDS,
            ping_interval=PING_SECONDS,
            closed_cb=closed,
            error_cb=troubled,
        )
        yield connection
    finally:
        await connection.close()


async def settled(connection: Client) -> None:
    """Return when the server has taken all that was sent before.

    The client's own flush does not say so: its ping overtakes what still waits to be written. A message to oneself
    does not.
    """
    inbox = connection.new_inbox()
    heard = await connection.subscribe(inbox, max_msgs=1)
    await connection.publish(inbox)
    await heard.next_msg(timeout=SETTLE_SECONDS)


async def either(*events: Awaitable[object]) -> None:
    """Return when one of them has come."""
    tasks = [asyncio.ensure_future(event) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def pause(seconds: float, over: asyncio.Event) -> None:
    """Rest for so long, unless it is over before."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await over.wait()
