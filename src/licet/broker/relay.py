"""What has happened is told to the outside: from the books' outbox to the stream EVENTS, at least once, in order.

An event is a CloudEvent in JSON on the subject ``licet.events.<kind>``; its id is the ``Nats-Msg-Id``, so that the
stream itself drops what it is told again within two minutes, and a reader knows it by the id for ever. What is larger
than the server's largest message is told in parts: ``id`` is then "<id>-<part>", with ``part`` and ``parts``.

A revoking event first puts out whom it is about. Somebody may have been admitted an instant before the books changed
and be seated an instant after we looked, so we look once more when no knock from before can still be waiting; only then
is the event marked as told. If licet dies in between, it starts over.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import nats.errors
from nats.js.client import JetStreamContext

from licet.broker.kick import put_out
from licet.broker.server import PATIENCE_SECONDS, PAYLOAD_BYTES
from licet.broker.servers import Servers
from licet.broker.streams import EVENT_SUBJECTS
from licet.events import REVOKING, Event, Kind
from licet.postgres import events
from licet.postgres.books import Books
from licet.refusals import Refused

BATCH = 500
PAUSE_SECONDS = 0.5

log = logging.getLogger(__name__)


class Relay:
    """Tells what is untold. Many may run: each takes what no other holds."""

    def __init__(
        self,
        books: Books,
        clock: Callable[[], datetime],
        *,
        source: str = "/licet",
        settle_seconds: float = PATIENCE_SECONDS,
        payload_bytes: int = PAYLOAD_BYTES,
    ) -> None:
        self._books = books
        self._clock = clock
        self._source = source
        self._settle_seconds = settle_seconds
        self._payload_bytes = payload_bytes
        self._nudged = asyncio.Event()
        # Revoking events whose devices were put out once, and when that was, by a clock that only goes forward.
        self._put_out_at: dict[int, float] = {}

    def nudge(self) -> None:
        """Something has just happened: do not wait for the next look."""
        self._nudged.set()

    async def keep(self, servers: Servers, jetstream: JetStreamContext, over: asyncio.Event) -> None:
        """Tell what happens until it is ``over``; a nudge makes that noticed at once. Never cut off within a query."""
        answering = True
        while not over.is_set():
            try:
                more = await self.tell_some(servers, jetstream)
                answering = True
            except (Refused, nats.errors.Error, TimeoutError) as away:
                if answering:
                    log.warning("Events wait: %r", away)
                answering = more = False
            if not more:
                await self._pause()

    async def tell_some(self, servers: Servers, jetstream: JetStreamContext) -> bool:
        """Tell the oldest untold events. Says whether more may be waiting.

        1. Take them, in one transaction that holds them.
        2. Put out whom the revoking ones among them are about.
        3. Tell all of them.
        4. Mark as told what need not be looked at again.
        """
        async with self._books.transaction() as books:
            untold = await events.untold(books, limit=BATCH)
            if not untold:
                return False
            looked_at = time.monotonic()
            first = [event for event in untold if event.id not in self._put_out_at]
            again = [event for event in untold if self._is_settled(event, looked_at)]
            await _revoke([event for event in [*first, *again] if event.kind in REVOKING], servers)
            await self._tell(first, jetstream)
            told = [event.id for event in first if event.kind not in REVOKING] + [event.id for event in again]
            if told:
                await events.mark_told(books, told, now=self._clock())
        self._put_out_at |= {event.id: looked_at for event in first if event.kind in REVOKING}
        for event in again:
            del self._put_out_at[event.id]
        return bool(told) and len(untold) == BATCH

    def _is_settled(self, event: Event, looked_at: float) -> bool:
        put_out_at = self._put_out_at.get(event.id)
        return put_out_at is not None and looked_at - put_out_at >= self._settle_seconds

    async def _tell(self, told: Sequence[Event], jetstream: JetStreamContext) -> None:
        await asyncio.gather(
            *(
                jetstream.publish(
                    f"{EVENT_SUBJECTS}.{event.kind.value}",
                    json.dumps(cloud_event).encode(),
                    headers={"Nats-Msg-Id": cloud_event["id"]},
                )
                for event in told
                for cloud_event in cloud_events(event, self._source, self._payload_bytes)
            )
        )

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                await self._nudged.wait()
        except TimeoutError:
            pass
        self._nudged.clear()


async def _revoke(revoking: Sequence[Event], servers: Servers) -> None:
    products = {event.product_key for event in revoking if event.kind is Kind.PRODUCT_DELETED and event.product_key}
    devices = {
        (event.product_key, device_key)
        for event in revoking
        if event.kind is not Kind.PRODUCT_DELETED and event.product_key
        for device_key in event.facts["device_keys"]
    }
    await put_out(servers, devices, products)


def cloud_events(event: Event, source: str, payload_bytes: int) -> Iterator[dict[str, Any]]:
    """The event in the outside's form, in as many parts as its largest message makes necessary."""
    whole = {
        "specversion": "1.0",
        "id": str(event.id),
        "source": source,
        "type": f"licet.{event.kind.value}",
        "time": event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {"account_id": event.account_id, "product_key": event.product_key, **event.facts},
    }
    size = len(json.dumps(whole))
    # Room for the headers and for the words that only a part carries.
    room = payload_bytes - 512
    if size <= room:
        yield whole
        return
    longest = max((len(fact) for fact in event.facts.values() if isinstance(fact, list)), default=0)
    parts = min(longest, 2 * size // room + 1)
    for part in range(parts):
        begin, end = longest * part // parts, longest * (part + 1) // parts
        sliced = {
            name: fact[begin:end] if isinstance(fact, list) and len(fact) == longest else fact
            for name, fact in event.facts.items()
        }
        data = {"account_id": event.account_id, "product_key": event.product_key, **sliced}
        yield {**whole, "id": f"{event.id}-{part + 1}", "part": part + 1, "parts": parts, "data": data}
