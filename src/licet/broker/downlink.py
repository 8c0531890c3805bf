"""Messages to devices go out: from the books to the broker's stream, each once, in the order they were written down.

A message is published to where the server itself keeps messages at QoS 1, ``$MQTT.msgs.down.PK.DK.…`` with the header
``Nmqtt-Pub: 1``. So it is stored, acknowledged to licet when it is, counted like any other, delivered to a device that
listens at QoS 1, and kept for it while it is away. Who listens at QoS 0 hears a copy that is not stored.

Never twice. One process sends at a time. Before the first try the books are told how far the stream goes; a message
that was tried before, and of which nobody came back to say where it lies, is looked for beyond that place first.

What devices acknowledge is overheard: acknowledgements in this stream are only ever about messages to devices, and only
the device itself may listen for its own. What nobody overheard, ``stored`` can still tell while the device's session is
there.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.client import JetStreamContext

from licet.broker.direct import read
from licet.broker.gate import SHARED
from licet.broker.streams import MESSAGES
from licet.broker.wire import settled
from licet.postgres import downlinks
from licet.postgres.books import Books
from licet.postgres.downlinks import Waiting
from licet.postgres.turns import Work, take_turn
from licet.refusals import Refused

BATCH = 200
PAUSE_SECONDS = 0.5

# A device may acknowledge before the books have heard where its message lies.
REMEMBERED_SECONDS = 30.0

_ACKNOWLEDGED = f"$JS.ACK.{MESSAGES}.>"
_HEADERS = {"Nmqtt-Pub": "1"}

log = logging.getLogger(__name__)


class Downlink:
    """Sends what waits, and writes down what was delivered."""

    def __init__(self, books: Books, clock: Callable[[], datetime]) -> None:
        self._books = books
        self._clock = clock
        self._nudged = asyncio.Event()
        # Places in the stream that were acknowledged and are not in the books, and when that was heard.
        self._acknowledged: dict[int, float] = {}

    def nudge(self) -> None:
        """Something has just been written down: do not wait for the next look."""
        self._nudged.set()

    async def open(self, server: Client) -> None:
        """Begin to overhear. All licet processes share what there is to hear."""
        await server.subscribe(_ACKNOWLEDGED, SHARED, cb=self._hear, pending_msgs_limit=-1, pending_bytes_limit=-1)
        await settled(server)

    async def keep(self, server: Client, jetstream: JetStreamContext, over: asyncio.Event) -> None:
        """Send until it is ``over``; a nudge makes that noticed at once. Never cut off within a query."""
        sending = True
        while not over.is_set():
            try:
                more = await self.send_some(server, jetstream)
                await self.confirm()
                sending = True
            except (Refused, nats.errors.Error, TimeoutError) as away:
                if sending:
                    log.warning("Messages to devices wait: %r", away)
                sending = more = False
            if not more:
                await self._pause()

    async def send_some(self, server: Client, jetstream: JetStreamContext) -> bool:
        """Send the oldest messages that wait. Says whether more may be waiting.

        1. Take a turn, held until all of it is done: whoever sends alone, sends in order.
        2. Tell the books after which place the new ones among them will be.
        3. Send; look first for those that somebody else may have sent.
        4. Tell the books where they lie. Those of which that is not known stay, and are looked for the next time.
        """
        if not await downlinks.waiting(self._books, limit=1):
            return False
        async with self._books.transaction() as turn:
            if not await take_turn(turn, Work.SENDING):
                return False
            waiting = await downlinks.waiting(self._books, limit=BATCH)
            tried = [each for each in waiting if each.after_sequence is not None]
            new = [each for each in waiting if each.after_sequence is None]
            last = (await jetstream.stream_info(MESSAGES)).state.last_seq
            async with self._books.transaction() as books:
                await downlinks.begin(books, [each.id for each in new], after_sequence=last)
            said: list[int | BaseException] = []
            for some in [*([each] for each in tried), new]:  # what is looked for may not be overtaken
                sending = (self._send(server, jetstream, each) for each in some)
                said += await asyncio.gather(*sending, return_exceptions=True)
            lie_at = {each.id: at for each, at in zip([*tried, *new], said, strict=True) if isinstance(at, int)}
            async with self._books.transaction() as books:
                await downlinks.sent(books, lie_at)
            for fault in said:
                if isinstance(fault, BaseException):
                    raise fault
            return len(waiting) == BATCH

    async def confirm(self) -> None:
        """Write down what devices have acknowledged."""
        if not self._acknowledged:
            return
        async with self._books.transaction() as books:
            known = await downlinks.delivered(books, list(self._acknowledged), now=self._clock())
        oldest = time.monotonic() - REMEMBERED_SECONDS
        unknown = [(at, heard) for at, heard in self._acknowledged.items() if at not in known and heard > oldest]
        self._acknowledged = dict(unknown)

    async def _send(self, server: Client, jetstream: JetStreamContext, message: Waiting) -> int:
        subject = f"down.{message.product_key}.{message.device_key}.{message.topic.replace('/', '.')}"
        if message.after_sequence is not None:
            found = await self._look_for(server, f"$MQTT.msgs.{subject}", message.id, message.after_sequence)
            if found is not None:
                return found
        stored = await jetstream.publish(
            f"$MQTT.msgs.{subject}", message.payload, headers={**_HEADERS, "Nats-Msg-Id": message.id}
        )
        if not stored.duplicate:
            # Whoever listens at QoS 1 passes this over, by the header.
            await server.publish(subject, message.payload, headers=_HEADERS)
        return int(stored.seq)

    @staticmethod
    async def _look_for(server: Client, subject: str, message_id: str, after: int) -> int | None:
        more = True
        while more:
            found, more = await read(server, MESSAGES, subject=subject, first=after + 1, most=BATCH)
            for each in found:
                if each.headers.get("Nats-Msg-Id") == message_id:
                    return each.sequence
                after = each.sequence
        return None

    async def _hear(self, acknowledgement: Msg) -> None:
        # $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<its number there>.<time>.<what is left>
        words: Sequence[str] = acknowledgement.subject.split(".")
        if acknowledgement.data in (b"", b"+ACK") and len(words) == 9:
            self._acknowledged[int(words[5])] = time.monotonic()
            self._nudged.set()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                await self._nudged.wait()
        except TimeoutError:
            pass
        self._nudged.clear()
