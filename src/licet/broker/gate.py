"""The gate: the server asks about every knock, and licet answers what is waiting in one go.

The server holds a connection open while it asks on ``$SYS.REQ.USER.AUTH``; licet's answer is a token that says what the
device may do and when it ends, or nothing. All licet processes share the asks (one queue group). The gate fails closed:
no answer within the server's patience is a no.

1. What is heard is read at once, without the books. What is no knock is refused on the spot.
2. Knocks wait, and lanes take up to ``batch`` of them: one ``admit``, one round trip to the books, all are answered.
3. A knock that has waited longer than the server has patience is dropped: the server said no already. If we stood
   still ourselves (``pulse``), how long it has waited is what the server says.
4. Books that cannot be reached refuse those who wait, and are logged once; the gate goes on, and says when they are
   back.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from licet.activations import Answer
from licet.broker.knock import Caller, read_ask
from licet.broker.lanes import Lanes
from licet.broker.pulse import Pulse
from licet.broker.server import PATIENCE_SECONDS
from licet.broker.tokens import Permissions, Signer, device_permissions, registration_permissions
from licet.broker.wire import settled
from licet.products import Knock, Registration
from licet.refusals import Reason, Refused

ASKED = "$SYS.REQ.USER.AUTH"
SHARED = "licet"

# Words of the tally, besides the codes of refusals.
ADMITTED, TOO_LATE, UNSAID = "admitted", "too_late", "unsaid"

# A bootstrap session has this long to ask for its secret and hear the answer.
BOOTSTRAP_SECONDS = 60.0

# Books that were away for an instant (a restart leaves broken connections behind) are asked again for so long.
INSTANT_SECONDS = 1.0
AGAIN_SECONDS = 0.05

# An answer must still reach the server in time.
MARGIN_SECONDS = 0.25

log = logging.getLogger(__name__)

Shown = TypeVar("Shown", Knock, Registration)
Shown_contra = TypeVar("Shown_contra", contravariant=True)
Said_co = TypeVar("Said_co", covariant=True)


class Verb(Protocol[Shown_contra, Said_co]):
    """A verb of licet's, with its books in hand: asked about many at once."""

    def __call__(self, asks: Sequence[Shown_contra], /, *, now: datetime) -> Awaitable[Sequence[Said_co]]: ...


@dataclass(frozen=True, slots=True)
class Gatekeeping:
    """How the gate works: the largest batch, batches under way at once, and the server's own patience."""

    batch: int = 500
    lanes: int = 2
    patience_seconds: float = PATIENCE_SECONDS


class Gate:
    """Answers the server's asks. ``tally`` counts the answers, for whoever watches."""

    def __init__(
        self,
        signer: Signer,
        admit: Verb[Knock, Answer],
        check_registration: Verb[Registration, Refused | None],
        clock: Callable[[], datetime],
        keeping: Gatekeeping | None = None,
        real_clock: Callable[[], float] = time.time,
    ) -> None:
        keeping = keeping or Gatekeeping()
        self.tally: Counter[str] = Counter()
        self._signer = signer
        self._admit = admit
        self._check_registration = check_registration
        self._clock = clock
        self._real_clock = real_clock
        self._patience = keeping.patience_seconds - MARGIN_SECONDS
        self._knocks = Lanes(self._answer_knocks, batch=keeping.batch, lanes=keeping.lanes)
        self._registrations = Lanes(self._answer_registrations, batch=keeping.batch, lanes=1)
        self._books_answer = True
        self._pulse = Pulse()

    async def open(self, server: Client) -> None:
        """Begin to answer."""
        self._server = server
        self._pulse.start()
        self._heard = await server.subscribe(
            ASKED, SHARED, cb=self._hear, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        await settled(server)

    @property
    def waiting(self) -> int:
        """How many knocks wait for a lane."""
        return len(self._knocks) + len(self._registrations)

    async def close(self) -> None:
        """Hear no more, and answer what was heard."""
        await self._heard.drain()
        await self._knocks.drain()
        await self._registrations.drain()
        await settled(self._server)
        await self._pulse.stop()

    async def _hear(self, ask: Msg) -> None:
        # Nothing is awaited before what was heard waits in a lane: the next ask is behind this one.
        heard = read_ask(ask.data, ask.reply, time.monotonic())
        if heard is None:
            self.tally[Reason.MALFORMED_KNOCK.code] += 1
            await self._say(ask.reply, b"")
            return
        caller, shown = heard
        match shown:
            case Knock():
                self._knocks.put((caller, shown))
            case Registration():
                self._registrations.put((caller, shown))
            case Reason():
                await self._refuse(caller, shown)

    async def _answer_knocks(self, waiting: list[tuple[Caller, Knock]]) -> None:
        waiting = self._still_held(waiting)
        if not waiting:
            return
        now, asked_at = self._clock(), self._real_clock()
        answers = await self._ask_books(self._admit, waiting, now)
        if isinstance(answers, Refused):
            answers = [Answer(refusal=answers)] * len(waiting)
        for (caller, knock), answer in zip(waiting, answers, strict=True):
            if answer.refusal is not None:
                await self._refuse(caller, answer.refusal.reason)
                continue
            remains = None if answer.until is None else (answer.until - now).total_seconds()
            await self._let_in(caller, device_permissions(knock.product_key, knock.device_key), asked_at, remains)

    async def _answer_registrations(self, waiting: list[tuple[Caller, Registration]]) -> None:
        waiting = self._still_held(waiting)
        if not waiting:
            return
        now, asked_at = self._clock(), self._real_clock()
        refusals = await self._ask_books(self._check_registration, waiting, now)
        if isinstance(refusals, Refused):
            refusals = [refusals] * len(waiting)
        for (caller, ask), refusal in zip(waiting, refusals, strict=True):
            if refusal is not None:
                await self._refuse(caller, refusal.reason)
                continue
            permissions = registration_permissions(ask.product_key, ask.device_key)
            await self._let_in(caller, permissions, asked_at, BOOTSTRAP_SECONDS)

    def _still_held(self, waiting: list[tuple[Caller, Shown]]) -> list[tuple[Caller, Shown]]:
        oldest = time.monotonic() - self._patience
        # Clocks of two machines need not agree, so the server's own is asked only when ours has nothing to say.
        given_up = self._real_clock() if self._pulse.in_doubt else -math.inf
        held = [each for each in waiting if each[0].heard_at >= oldest and each[0].given_up_at > given_up]
        if len(held) < len(waiting):
            self.tally[TOO_LATE] += len(waiting) - len(held)
        return held

    async def _ask_books(
        self, verb: Verb[Shown, Said_co], waiting: Sequence[tuple[Caller, Shown]], now: datetime
    ) -> Sequence[Said_co] | Refused:
        given_up_at = max(caller.heard_at for caller, _ in waiting) + self._patience
        try:
            async with asyncio.timeout_at(given_up_at):
                said = await _asked(verb, [shown for _, shown in waiting], now)
        except (Refused, TimeoutError) as away:
            if self._books_answer:
                log.warning("The books do not answer (%r): the gate refuses everybody until they do.", away)
            self._books_answer = False
            return away if isinstance(away, Refused) else Refused(Reason.BOOKS_AWAY)
        except Exception:
            log.exception("A batch of %d could not be decided; all of it is refused.", len(waiting))
            return Refused(Reason.BUSY)
        if not self._books_answer:
            log.warning("The books answer again: the gate is open.")
        self._books_answer = True
        return said

    async def _let_in(self, caller: Caller, permissions: Permissions, asked_at: float, remains: float | None) -> None:
        issued = self._real_clock()
        seconds = None if remains is None else remains - (issued - asked_at)
        self.tally[ADMITTED] += 1
        await self._say(
            caller.reply,
            self._signer.admit(caller.user_nkey, caller.server_id, permissions, issued=issued, seconds=seconds),
        )

    async def _refuse(self, caller: Caller, reason: Reason) -> None:
        self.tally[reason.code] += 1
        await self._say(
            caller.reply,
            self._signer.refuse(caller.user_nkey, caller.server_id, reason.code, issued=self._real_clock()),
        )

    async def _say(self, reply: str, answer: bytes) -> None:
        try:
            await self._server.publish(reply, answer)
        except nats.errors.Error:
            # The connection to the server is gone, and whoever waited there with it.
            self.tally[UNSAID] += 1


async def _asked(verb: Verb[Shown, Said_co], asks: Sequence[Shown], now: datetime) -> Sequence[Said_co]:
    give_up_at = time.monotonic() + INSTANT_SECONDS
    while True:
        try:
            return await verb(asks, now=now)
        except Refused as away:
            if not away.reason.transient or time.monotonic() > give_up_at:
                raise
        await asyncio.sleep(AGAIN_SECONDS)
