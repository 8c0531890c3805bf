"""The heads of a stream's messages, read in whole chunks: what is only to be counted is never made into a message.

The server sends a message's subject, its place in the stream, when it came and how large it is, without its payload;
one pattern runs over all that has arrived. That is safe because no device can put a space, a control character or a
header into what it says. And it is checked: the server numbers what it sends for each reading, so a head that was
missed, doubled or made up shows in the number of the last.
"""

import asyncio
import json
import re
import secrets
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from urllib.parse import urlsplit

from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from licet.shifts import REAL, Shifts

# As much as the event loop is kept for at a time: some milliseconds.
CHUNK_BYTES = 2**18
ANSWER_SECONDS = 5.0
PORT = 4222
# The server forgets a reading that nobody asked anything of for so long.
FORGOTTEN_SECONDS = 30.0

# Of each head: its subject, when it came, its QoS, and the bytes of its payload. Only the time has 19 digits.
_HEAD_UP_TO = (
    rb"HMSG (?:\$MQTT\.msgs\.)?([^ ]+) \d+ [^ ]+\.(\d{%d})\d{%d}\.\d+(?:\.[^. ]+)? [^\r]+\r\n"
    rb"NATS/1\.0\r\n(?:Nmqtt-Pub:(\d)\r\n)?(?:[^\r]+\r\n)*?Nats-Msg-Size: (\d+)\r\n\r\n\r\n"
)
_HEAD, _HEAD_TO_THE_SECOND = re.compile(_HEAD_UP_TO % (9, 10)), re.compile(_HEAD_UP_TO % (10, 9))
# Where a head lies in the stream, and its number within the reading; before them stream, consumer, deliveries.
_PLACE = re.compile(rb"HMSG [^ ]+ \d+ \$JS\.ACK\.(?:[^. ]+\.[^. ]+\.)??[^. ]+\.[^. ]+\.\d+\.(\d+)\.(\d+)\.\d{19}\.")
_BEGINS = b"HMSG "
_LAST_LINE = b"\r\nNats-Msg-Size: "
_END_OF_HEAD = re.compile(rb"\r\nNats-Msg-Size: \d+\r\n\r\n\r\n")
_STATUS = re.compile(rb"HMSG [^ ]+ \d+ \d+ \d+\r\nNATS/1\.0 (\d{3})([^\r]*)\r\n")
_NO_MORE = (b"404", b"408")

#: Subject (without the server's own prefix), tens of seconds since 1970, QoS (empty: not by MQTT), bytes of payload.
#: The time is licet's.
Head = tuple[bytes, bytes, bytes, bytes]
TENS, QOS = 1, 2


class ReadingError(Exception):
    """The server did not send all that it was asked for. Nothing of it is used; it is asked again."""


class Heads:
    """A connection on which heads come, for one reader. After an error it is of no more use."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        jetstream: JetStreamContext,
        shifts: Shifts = REAL,
    ) -> None:
        self._heads_in = partial(_shifted_heads, shifts) if shifts else _HEAD.findall
        self._reader = reader
        self._writer = writer
        self._jetstream = jetstream
        self._inbox = f"_INBOX.{secrets.token_hex(11)}"
        self._readings = 0

    async def between(self, stream: str, first: int, last: int) -> AsyncIterator[list[Head]]:
        """The heads of all messages with these sequences that the stream still holds, as they come.

        They may be used when all have come without an error, and not before.

        1. The server begins a reading at the first of them, and is asked for as many as there can be.
        2. Chunks are taken up until the last has come, or the server has no more.
        3. If the last did not come, the stream's leader is asked whether it, or any before it, is there at all.
        """
        consumer, most = await self._begin(stream, first), last - first + 1
        self._ask(stream, consumer, most)
        waiting, count, read_to, over = b"", 0, first - 1, False
        while not over:
            waiting += await self._chunk()
            end = _end_of_heads(waiting)
            found, whole, waiting = self._heads_in(waiting, 0, end), waiting[:end], waiting[end:]
            count += len(found)
            if whole:
                read_to, number = _place_of_last(whole)
                if number != count:
                    raise ReadingError(f"{stream} sent {number} heads, of which {count} could be read")
            over = count == most or _is_over(stream, waiting)
            if not over and read_to >= last:
                over = True
                await self._let_pass()
            if wanted := found if read_to <= last else found[: _places_up_to(whole, last)]:
                yield wanted
        self._writer.write(b"UNSUB %d\r\n" % self._readings)
        await self._jetstream.delete_consumer(stream, consumer)
        if read_to < last and count < most and await self._holds(stream, read_to + 1, last):
            raise ReadingError(f"{stream} holds more between {read_to} and {last} than it sent")

    async def _begin(self, stream: str, first: int) -> str:
        made = await self._jetstream.add_consumer(
            stream,
            ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=first,
                ack_policy=AckPolicy.NONE,
                headers_only=True,
                mem_storage=True,
                num_replicas=1,
                inactive_threshold=FORGOTTEN_SECONDS,
            ),
            timeout=ANSWER_SECONDS,
        )
        return str(made.name)

    def _ask(self, stream: str, consumer: str, most: int) -> None:
        self._readings += 1
        inbox, asked = f"{self._inbox}.{self._readings}", f'{{"batch":{most},"no_wait":true}}'
        next_ones = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer} {inbox} {len(asked)}"
        self._writer.write(f"SUB {inbox} {self._readings}\r\nPUB {next_ones}\r\n{asked}\r\n".encode())

    async def _chunk(self) -> bytes:
        async with asyncio.timeout(ANSWER_SECONDS):
            chunk = await self._reader.read(CHUNK_BYTES)
        if not chunk:
            raise ReadingError("the connection to the broker ended")
        if b"PING\r\n" in chunk:
            self._writer.write(b"PONG\r\n")
        return chunk

    async def _let_pass(self) -> None:
        """More was asked for than is wanted: what is still on its way is passed over."""
        self._writer.write(b"UNSUB %d\r\nPING\r\n" % self._readings)
        passed = b""
        while b"PONG\r\n" not in passed:
            passed = passed[-5:] + await self._chunk()

    async def _holds(self, stream: str, first: int, last: int) -> bool:
        """Whether there is any message with these sequences; the stream's leader knows."""
        try:
            found = await self._jetstream.get_msg(stream, seq=first, subject=">", next=True)
        except NotFoundError:
            return False
        return found.seq is not None and found.seq <= last


def _shifted_heads(shifts: Shifts, waiting: bytes, begin: int, end: int) -> list[Head]:
    """The heads that are found there, at the time that it was for licet when they came."""
    found = _HEAD_TO_THE_SECOND.findall(waiting, begin, end)
    return [(subject, b"%d" % (shifts.told_second(int(at)) // 10), qos, size) for subject, at, qos, size in found]


def _end_of_heads(waiting: bytes) -> int:
    """Where the last whole head ends. No topic can hold the space that is looked for."""
    at = len(waiting)
    while (at := waiting.rfind(_LAST_LINE, 0, at)) >= 0:
        if whole := _END_OF_HEAD.match(waiting, at):
            return whole.end()
    return 0


def _place_of_last(whole: bytes) -> tuple[int, int]:
    """Sequence, and number within the reading, of the last of these heads."""
    at = len(whole)
    while (at := whole.rfind(_BEGINS, 0, at)) >= 0:
        if place := _PLACE.match(whole, at):
            return int(place[1]), int(place[2])
    raise ReadingError("a head does not say where it lies")


def _places_up_to(whole: bytes, last: int) -> int:
    return sum(int(place[1]) <= last for place in _PLACE.finditer(whole))


def _is_over(stream: str, waiting: bytes) -> bool:
    """Whether the server has said that there is no more."""
    if waiting.startswith(b"-ERR"):
        raise ReadingError(waiting.decode(errors="replace"))
    status = _STATUS.search(waiting)
    if status is not None and status[1] not in _NO_MORE:
        raise ReadingError(f"{stream}: {status[1].decode()}{status[2].decode(errors='replace')}")
    return status is not None


@asynccontextmanager
async def heads_from(
    urls: Sequence[str], user: str, password: str, jetstream: JetStreamContext, shifts: Shifts = REAL
) -> AsyncIterator[Heads]:
    """A connection of one's own for heads, to the first server that answers."""
    reader, writer = await _dialled(urls)
    try:
        said = {
            "verbose": False,
            "pedantic": False,
            "headers": True,
            "no_responders": True,
            "user": user,
            "pass": password,
        }
        writer.write(
            b"CONNECT %b\r\nPING\r\n" % json.dumps(said | {"name": f"{user} reads", "lang": "python"}).encode()
        )
        async with asyncio.timeout(ANSWER_SECONDS):
            if (answer := await reader.readline()) != b"PONG\r\n":
                raise ReadingError(answer.decode(errors="replace"))
        yield Heads(reader, writer, jetstream, shifts)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _dialled(urls: Sequence[str]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for url in urls:
        at = urlsplit(url)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection(at.hostname, at.port or PORT, limit=2 * CHUNK_BYTES)
                info = json.loads((await reader.readline()).removeprefix(b"INFO "))
                if at.scheme == "tls" or info.get("tls_required"):
                    await writer.start_tls(ssl.create_default_context(), server_hostname=at.hostname)
        except (OSError, ValueError) as away:
            refused = away
            continue
        return reader, writer
    raise ReadingError(f"no broker can be reached: {refused!r}")
