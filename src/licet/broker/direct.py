"""Messages are read straight from a stream: some of those under a subject, from a place or an instant on.

Nothing is set up for it and nothing is left behind, so that a page of somebody's messages costs one question.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

ANSWER_SECONDS = 5.0

# The server stops before its answer is larger than this; the rest is asked for again.
ANSWER_BYTES = 4 * 2**20

_NONE, _END = "404", "204"


@dataclass(frozen=True, slots=True)
class Found:
    """A message as it lies in the stream."""

    subject: str
    sequence: int
    at: datetime
    headers: Mapping[str, str]
    payload: bytes


class DirectReadError(nats.errors.Error):
    """The server does not answer such a question."""


async def read(
    server: Client,
    stream: str,
    *,
    subject: str,
    most: int,
    first: int | None = None,
    since: datetime | None = None,
    answer_bytes: int = ANSWER_BYTES,
) -> tuple[list[Found], bool]:
    """The first messages under a subject, from a sequence or an instant on; and whether there are more."""
    asked: dict[str, object] = {"next_by_subj": subject, "batch": most, "max_bytes": answer_bytes}
    if since is not None:
        asked["start_time"] = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    else:
        asked["seq"] = first or 1
    found: list[Found] = []
    inbox = server.new_inbox()
    answers = await server.subscribe(inbox, pending_msgs_limit=-1, pending_bytes_limit=-1)
    try:
        await server.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(asked).encode(), reply=inbox)
        while True:
            answer = await answers.next_msg(timeout=ANSWER_SECONDS)
            headers = answer.headers or {}
            status = headers.get("Status")
            if status is None:
                found.append(_found(answer, headers))
            elif status in (_NONE, _END):
                return found, status == _END and int(headers.get("Nats-Num-Pending", 0)) > 0
            else:
                raise DirectReadError(f"{stream}: {status} {headers.get('Description', '')}")
    finally:
        if not server.is_closed:
            await answers.unsubscribe()


def _found(answer: Msg, headers: Mapping[str, str]) -> Found:
    return Found(
        headers["Nats-Subject"],
        int(headers["Nats-Sequence"]),
        _instant(headers["Nats-Time-Stamp"]),
        headers,
        answer.data,
    )


def _instant(said: str) -> datetime:
    """The server counts nanoseconds; what is beyond a microsecond is cut off."""
    whole, _, fraction = said.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction:0<6.6}+00:00")
