"""What everything behind this door shares. An app has one; nothing here is global."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from fastapi import Request, Response

from licet.accounts import FreeCodes
from licet.allowances import Direction
from licet.messages import Place, StoredPage
from licet.postgres.books import Books
from licet.refusals import Reason, Refused
from licet.web.problem import Problem
from licet.web.shelf import Shelf
from licet.web.tries import Tries


class Messages(Protocol):
    """What the devices' broker knows of messages. Raises ``Refused``: broker_away."""

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
        """What a device sent and was sent in [since, until), the oldest first."""
        ...

    async def acknowledged(self, product_key: str, device_key: str, sent: Mapping[int, str]) -> set[int]:
        """Which of these messages to a device, by their sequence and topic, its session has acknowledged."""
        ...


class NoBroker:
    """No devices' broker stands behind this door."""

    async def page(self, product_key: str, device_key: str, **asked: object) -> StoredPage:
        raise Refused(Reason.BROKER_AWAY)

    async def acknowledged(self, product_key: str, device_key: str, sent: Mapping[int, str]) -> set[int]:
        raise Refused(Reason.BROKER_AWAY)


def nobody() -> None:
    """There is nobody to tell; whoever sends what waits looks by itself."""


@dataclass(slots=True, kw_only=True)
class Door:
    """``presence`` says whether a device is connected now, ``knocks`` how many were answered how, ``ready`` whether the
    devices' door is open, ``lag`` how far counting is behind each of the broker's streams: messages and seconds.
    ``messages`` are those at the devices' broker, ``send_down`` says that one to a device has been written down.
    ``said_no`` is set by the console: how a page says no, where a program gets problem+json."""

    books: Books
    clock: Callable[[], datetime]
    data_center: str
    free: FreeCodes
    public_url: str
    session_hours: int
    link_hours: int
    presence: Callable[[str, str], bool]
    knocks: Callable[[], Mapping[str, int]]
    ready: Callable[[], bool]
    shelf: Shelf
    lag: Callable[[], Mapping[str, tuple[int, float]]]
    tries: Tries
    messages: Messages = field(default_factory=NoBroker)
    send_down: Callable[[], None] = nobody
    said_no: Callable[[Request, Problem], Awaitable[Response]] | None = None

    @property
    def https(self) -> bool:
        return self.public_url.startswith("https://")


def door_of(request: Request) -> Door:
    """The door that a request came in by."""
    door: Door = request.app.state.door
    return door
