"""What devices sent and were sent is read back from the broker's streams, and leaves its disks when its time is over.

Messages at QoS 1 and 2 lie in the server's own stream, those at QoS 0 in UPLINK, where copies of the others lie too and
are passed over. A page is merged from both by time. Each stream is looked into a few times at the most, so that a page
costs about the same whatever other devices have said; so it may hold less than was asked for and not be the last.
"""

import asyncio
import hashlib
import json
import logging
import string
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from licet.allowances import Direction
from licet.broker.direct import Found, read
from licet.broker.streams import COUNTED, MESSAGES, UPLINK
from licet.broker.tally import ACKNOWLEDGED, topic_of
from licet.messages import Place, StoredMessage, StoredPage
from licet.refusals import Reason, Refused
from licet.shifts import REAL, Shifts

LOOKS = 4

# Where the server keeps what a device asked it to keep for whoever listens next. Nobody may, so it goes.
RETAINED = "$MQTT_rmsgs"
SESSIONS = "$MQTT_sess"

PURGE_SECONDS = 60.0

NOT_THERE = 404

_PREFIXES = {MESSAGES: "$MQTT.msgs.", UPLINK: ""}
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_COPIES = {qos.decode() for qos in ACKNOWLEDGED}

Said = TypeVar("Said")

log = logging.getLogger(__name__)


class _Listening(msgspec.Struct):
    durable_name: str
    filter_subject: str


class _Session(msgspec.Struct):
    cons: dict[str, _Listening] = msgspec.field(default_factory=dict)


_session = msgspec.json.Decoder(_Session)


@dataclass(slots=True)
class _Lane:
    """One stream's part of a page: the messages found, the time up to which all are known, where to go on."""

    found: list[tuple[Found, StoredMessage]] = field(default_factory=list)
    known_until: datetime | None = None  # None: to the end
    next_sequence: int = 1


@dataclass(frozen=True, slots=True)
class _Wanted:
    """From when until when, in licet's time."""

    since: datetime
    until: datetime | None
    shifts: Shifts

    def has(self, at: datetime) -> bool:
        return self.since <= at and (self.until is None or at < self.until)

    def really(self) -> tuple[datetime, datetime | None]:
        """The real instants between which all of it lies."""
        return self.shifts.begins(self.since), None if self.until is None else self.shifts.ends(self.until)


class Stored:
    """Stored messages at one broker. Whoever asks does so in licet's time, and is told in it."""

    def __init__(self, shifts: Shifts = REAL) -> None:
        self._shifts = shifts
        self._server: Client | None = None

    def open(self, server: Client) -> None:
        """From now on the broker can be asked."""
        self._server = server

    def close(self) -> None:
        """It cannot any more."""
        self._server = None

    async def page(
        self,
        product_key: str,
        device_key: str,
        *,
        direction: Direction | None,
        since: datetime,
        until: datetime | None,
        place: Place | None,
        limit: int,
    ) -> StoredPage:
        """Up to so many messages of a device in [since, until), the oldest first. Raises ``Refused``: broker_away."""
        streams = [MESSAGES] if direction is Direction.DOWN else [MESSAGES, UPLINK]
        wanted = _Wanted(since, until, self._shifts)
        places = [None] * len(streams) if place is None else [*place, *[1] * len(streams)][: len(streams)]

        def lane(server: Client, stream: str, first: int | None) -> Awaitable[_Lane]:
            way = direction.value if direction else "*" if stream == MESSAGES else Direction.UP.value
            subject = f"{_PREFIXES[stream]}{way}.{product_key}.{device_key}.>"
            return _lane(server, stream, subject, first, wanted, limit)

        async def lanes(server: Client) -> list[_Lane]:
            return await asyncio.gather(
                *(lane(server, stream, first) for stream, first in zip(streams, places, strict=True))
            )

        return _merged(await self._ask(lanes), limit)

    async def acknowledged(self, product_key: str, device_key: str, sent: Mapping[int, str]) -> set[int]:
        """Which of these messages to a device its session, as it stands, has acknowledged.

        A session knows up to where everything was acknowledged, so a message beyond one that was not is not said to be.
        Where a device has no session any more, nothing is said. ``sent``: the topic of each, by its sequence.
        """
        subjects = {
            sequence: f"{_PREFIXES[MESSAGES]}down.{product_key}.{device_key}.{topic.replace('/', '.')}"
            for sequence, topic in sent.items()
        }

        async def heard(server: Client) -> set[int]:
            jetstream = server.jetstream()
            try:
                kept = await jetstream.get_last_msg(SESSIONS, f"$MQTT.sess.{session_of(product_key, device_key)}")
            except NotFoundError:
                return set()
            found: set[int] = set()
            for each in _session.decode(kept.data or b"{}").cons.values():
                asked = {sequence for sequence, subject in subjects.items() if _matches(subject, each.filter_subject)}
                if asked:
                    first, last = await _acknowledged_by(server, each)
                    found |= {sequence for sequence in asked if first <= sequence <= last}
            return found

        return await self._ask(heard)

    async def purge(self, *, before: datetime, counted: Mapping[str, int], product_key: str | None = None) -> bool:
        """Everything of a product (or of all of them) from before an instant goes from the disks, unless it is not
        counted yet. ``counted``: the sequence up to which each stream is. Says whether all of it went.
        """

        async def gone(server: Client) -> bool:
            whole = True
            for stream in COUNTED:
                limit, most = await _sequence_at(server, stream, self._shifts.ends(before)), counted.get(stream, 0) + 1
                whole = whole and limit <= most
                ways = [Direction.UP] if stream == UPLINK else list(Direction)
                subjects = [f"{_PREFIXES[stream]}{way.value}.{product_key}.>" for way in ways] if product_key else [">"]
                for subject in subjects:
                    await _purge(server, stream, subject, min(limit, most))
            if product_key is None:
                await _purge(server, RETAINED, ">")
            return whole

        return await self._ask(gone)

    async def _ask(self, question: Callable[[Client], Awaitable[Said]]) -> Said:
        if self._server is None:
            raise Refused(Reason.BROKER_AWAY)
        try:
            return await question(self._server)
        except (nats.errors.Error, OSError, TimeoutError) as away:
            log.warning("The broker could not be asked about stored messages: %r", away)
            raise Refused(Reason.BROKER_AWAY) from away


def session_of(product_key: str, device_key: str) -> str:
    """Under which name the server keeps a device's session: it makes it of the client id."""
    digest = hashlib.sha256(f"{product_key}-{device_key}".encode()).digest()
    return "".join(_DIGITS[octet % len(_DIGITS)] for octet in digest[:8])


async def _lane(server: Client, stream: str, subject: str, first: int | None, wanted: "_Wanted", limit: int) -> _Lane:
    """One more than the limit is looked for, so that a page knows whether it is the last."""
    lane = _Lane(next_sequence=first or 1)
    since, until = wanted.really()
    more, looks = True, 0
    while more and looks < LOOKS and len(lane.found) <= limit:
        start: dict[str, int | datetime] = {"since": since} if first is None else {"first": first}
        found, more = await read(server, stream, subject=subject, most=limit + 1, **start)  # type: ignore[arg-type]
        for each in found:
            if until is not None and each.at >= until:
                more = False
                break
            lane.next_sequence = first = each.sequence + 1
            lane.known_until = each.at
            at = wanted.shifts.told(each.at)
            if wanted.has(at) and (stream != UPLINK or each.headers.get("Nmqtt-Pub") not in _COPIES):
                lane.found.append((each, _told(each, stream, at)))
        looks += 1
    if not more:
        lane.known_until = None
    return lane


def _merged(lanes: Sequence[_Lane], limit: int) -> StoredPage:
    """What is known to be next, by time; and where each stream goes on."""
    ends = [lane.known_until for lane in lanes if lane.known_until is not None]
    ranked = sorted(
        (found.at, rank, found.sequence, message) for rank, lane in enumerate(lanes) for found, message in lane.found
    )
    shown = [each for each in ranked if not ends or each[0] <= min(ends)][:limit]
    left = ranked[len(shown) :]
    messages = [message for *_, message in shown]
    if not left and not ends:
        return StoredPage(messages, None)
    place = [
        min((sequence for _, of, sequence, _ in left if of == rank), default=lane.next_sequence)
        for rank, lane in enumerate(lanes)
    ]
    return StoredPage(messages, tuple(place))


def _told(found: Found, stream: str, at: datetime) -> StoredMessage:
    way, _, _, topic = found.subject.removeprefix(_PREFIXES[stream]).split(".", 3)
    qos = found.headers.get("Nmqtt-Pub", "0")
    return StoredMessage(at, Direction(way), topic_of(topic.encode()), int(qos), found.payload)


async def _sequence_at(server: Client, stream: str, at: datetime) -> int:
    """The first sequence that came at or after an instant; one after the last if none did."""
    found, _ = await read(server, stream, subject=">", since=at, most=1)
    return found[0].sequence if found else (await server.jetstream().stream_info(stream)).state.last_seq + 1


async def _purge(server: Client, stream: str, subject: str, before_sequence: int | None = None) -> None:
    if before_sequence is not None and before_sequence <= 1:
        return
    asked = {} if subject == ">" else {"filter": subject}
    body = json.dumps(asked | ({} if before_sequence is None else {"seq": before_sequence})).encode()
    answer = await server.request(f"$JS.API.STREAM.PURGE.{stream}", body, timeout=PURGE_SECONDS)
    error = json.loads(answer.data).get("error")
    if error and error["code"] != NOT_THERE:
        raise nats.errors.Error(f"{stream}: {error['description']}")


async def _acknowledged_by(server: Client, listening: _Listening) -> tuple[int, int]:
    """Of which messages one subscription has acknowledged all: those from here to there. What came before it was made
    is not its own, though it counts from there."""
    try:
        known = await server.jetstream().consumer_info(MESSAGES, listening.durable_name)
    except NotFoundError:
        return 1, 0
    if known.created is None or known.ack_floor is None or not known.ack_floor.consumer_seq:
        return 1, 0
    last = known.ack_floor.stream_seq
    since, _ = await read(server, MESSAGES, subject=listening.filter_subject, since=known.created, most=1)
    return (since[0].sequence if since else last + 1), last


def _matches(subject: str, pattern: str) -> bool:
    words, wanted = subject.split("."), pattern.split(".")
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        if len(words) <= len(wanted):
            return False
        words = words[: len(wanted)]
    return len(words) == len(wanted) and all(want in ("*", word) for word, want in zip(words, wanted, strict=True))
