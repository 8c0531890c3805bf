"""What everything behind this door shares. An app has one; nothing here is global."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request, Response

from licet.accounts import FreeCodes
from licet.postgres.books import Books
from licet.web.problem import Problem
from licet.web.shelf import Shelf
from licet.web.tries import Tries


@dataclass(slots=True, kw_only=True)
class Door:
    """``presence`` says whether a device is connected now, ``knocks`` how many were answered how, ``ready`` whether the
    devices' door is open, ``lag`` how far counting is behind each of the broker's streams: messages and seconds.
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
    said_no: Callable[[Request, Problem], Awaitable[Response]] | None = None

    @property
    def https(self) -> bool:
        return self.public_url.startswith("https://")


def door_of(request: Request) -> Door:
    """The door that a request came in by."""
    door: Door = request.app.state.door
    return door
