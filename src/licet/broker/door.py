"""The devices' door: the rooms behind it, run together for as long as licet runs.

Two connections lead to the server: as ``licet`` into the devices' account, where knocks are heard and answered, and as
``licet-sys`` into the system account, where the server tells who comes and goes. When either is lost both are made
anew, with everything that hangs on them, for as long as it takes. Meanwhile nobody is let in, and nothing else is lost.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import nats.errors

from licet.admit import admit
from licet.broker.downlink import Downlink
from licet.broker.gate import Gate, Gatekeeping
from licet.broker.keeping import Keeping
from licet.broker.presence import Presence
from licet.broker.reader import Reader
from licet.broker.registration import RegistrationDesk
from licet.broker.relay import Relay
from licet.broker.server import LICET, LICET_SYS, PAYLOAD_BYTES
from licet.broker.servers import Servers
from licet.broker.stored import Stored
from licet.broker.streams import make_streams
from licet.broker.tokens import Signer
from licet.broker.wire import connected, either
from licet.enrol import check_registration, register
from licet.postgres.books import Books
from licet.shifts import REAL, Shifts

RETRY_SECONDS = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where the servers are, how licet proves itself to them, and what is theirs to decide.

    ``seed`` belongs to the issuer in the servers' configuration; ``source`` names this installation in what it tells.
    """

    urls: Sequence[str]
    password: str
    seed: str
    source: str = "/licet"
    replicas: int = 1
    payload_bytes: int = PAYLOAD_BYTES
    keeping: Gatekeeping = field(default_factory=Gatekeeping)


class Door:
    """The gate, the registration desk, presence and the relay at one broker."""

    def __init__(self, wiring: Wiring, books: Books, clock: Callable[[], datetime], shifts: Shifts = REAL) -> None:
        self._wiring = wiring
        self.open = asyncio.Event()  # set while devices are answered
        self.presence = Presence()
        self.gate = Gate(
            Signer(wiring.seed), partial(admit, books), partial(check_registration, books), clock, wiring.keeping
        )
        self.desk = RegistrationDesk(partial(register, books), clock)
        self.relay = Relay(
            books,
            clock,
            source=wiring.source,
            settle_seconds=wiring.keeping.patience_seconds,
            payload_bytes=wiring.payload_bytes,
        )
        self.downlink = Downlink(books, clock)
        self.stored = Stored(shifts)
        self.keeping = Keeping(books, clock, self.stored)
        self.reader = Reader(books, clock, urls=wiring.urls, password=wiring.password, shifts=shifts)

    async def run(self, stop: asyncio.Event) -> None:
        """Answer devices, and count what they say, until ``stop``; then answer who was heard, and close."""
        await asyncio.gather(self._answer_on(stop), _kept("reader", partial(self.reader.run, stop), stop))

    async def _answer_on(self, stop: asyncio.Event) -> None:
        reached = True
        while not stop.is_set():
            try:
                await self._answer(stop)
                reached = True
            except (nats.errors.Error, OSError, TimeoutError) as away:
                if reached:
                    log.warning("The broker cannot be reached (%r); trying for as long as it takes.", away)
                reached = False
            await either(stop.wait(), asyncio.sleep(RETRY_SECONDS))

    async def _answer(self, stop: asyncio.Event) -> None:
        lost = asyncio.Event()

        async def closed() -> None:
            lost.set()

        connect = partial(connected, self._wiring.urls, password=self._wiring.password, closed=closed)
        async with connect(LICET) as server, connect(LICET_SYS) as system:
            servers, jetstream = Servers(system), server.jetstream()
            await make_streams(jetstream, replicas=self._wiring.replicas)
            await self.presence.open(system)
            await self.desk.open(server)
            await self.downlink.open(server)
            await self.gate.open(server)
            over = asyncio.Event()
            self.stored.open(server)
            rooms = {
                "presence": partial(self.presence.keep, servers, over),
                "relay": partial(self.relay.keep, servers, jetstream, over),
                "downlink": partial(self.downlink.keep, server, jetstream, over),
                "keeping": partial(self.keeping.run, over),
            }
            tasks = [asyncio.create_task(_kept(room, keep, over)) for room, keep in rooms.items()]
            log.info("The gate is open.")
            self.open.set()
            try:
                await either(stop.wait(), lost.wait())
            finally:
                self.open.clear()
                self.stored.close()
                # They are asked to end, not cancelled: a request that is answered in the same instant loses the
                # cancellation, and a query that is cut off loses its connection to the books.
                over.set()
                self.presence.reconcile_soon()
                self.relay.nudge()
                self.downlink.nudge()
                await asyncio.wait(tasks)
            if lost.is_set():
                log.warning("The connection to the broker is lost; making a new one.")
            else:
                await self.gate.close()
                await self.desk.close()


async def _kept(room: str, keep: Callable[[], Awaitable[None]], over: asyncio.Event) -> None:
    """A fault in one room is logged and leaves the others alone."""
    while not over.is_set():
        try:
            await keep()
        except Exception:
            log.exception("The %s stumbled; it goes on.", room)
            await asyncio.sleep(RETRY_SECONDS)
