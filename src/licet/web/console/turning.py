"""Turning pages: a list is read a page at a time, from where the page before ended."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from fastapi import Request

from licet.web.console.desk import Desk

PAGE = 50

Noun = TypeVar("Noun")
Place = tuple[str | int | datetime, ...]


class Turned(NamedTuple):
    """What is on a page, the address of the next one, and that of the first one where this is a later page."""

    rows: Sequence[Any]
    cursor: str | None
    first: str | None


def place(desk: Desk) -> Any:
    """Where the page before ended, or None at the beginning. A cursor that is not ours begins again."""
    carried = desk.ask.request.query_params.get("after")
    if not carried:
        return None
    try:
        parts = json.loads(desk.books.keyring.open(base64.urlsafe_b64decode(carried), _about(desk)))
    except (ValueError, IndexError):
        return None
    return tuple(datetime.fromisoformat(part["at"]) if isinstance(part, dict) else part for part in parts)


def turn(desk: Desk, found: Sequence[Noun], ends_at: Callable[[Noun], Place]) -> Turned:
    """A page of what was found; one more than fits is read, to know whether there is a next one."""
    request = desk.ask.request
    rows = found[:PAGE]
    cursor = None
    if len(found) > PAGE:
        parts = [{"at": part.isoformat()} if isinstance(part, datetime) else part for part in ends_at(rows[-1])]
        sealed = desk.books.keyring.seal(json.dumps(parts), _about(desk))
        cursor = address(request, after=base64.urlsafe_b64encode(sealed).decode())
    first = address(request, after="") if request.query_params.get("after") else None
    return Turned(rows, cursor, first)


def address(request: Request, **changed: str) -> str:
    """The present page with some of its question changed; what is empty is left out."""
    asked = {name: value for name, value in (dict(request.query_params) | changed).items() if value}
    return f"{request.url.path}?{urlencode(asked)}" if asked else request.url.path


def _about(desk: Desk) -> str:
    return f"console cursor {desk.ask.request.url.path}"
