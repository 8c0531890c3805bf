"""Pages of a list: ``?limit=&cursor=`` in, ``{"data": [], "next_cursor": null}`` out.

A cursor is where the page before ended, sealed: it cannot be made up, and it fits only the list it came from.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from licet.web.problem import Malformed, WrongField
from licet.web.session import Ask

MOST = 200

Noun = TypeVar("Noun")
Shown = TypeVar("Shown", bound=BaseModel)
Place = tuple[str | int | datetime, ...]


class Paged(BaseModel):
    """What every list may be asked; each list adds its own filters. Whatever else is asked is refused."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MOST, description="How many at once.")] = 50
    cursor: Annotated[str | None, Field(max_length=1000, description="The next_cursor of the page before.")] = None


class Page(BaseModel, Generic[Shown]):
    """One page; ``next_cursor`` is null on the last one."""

    data: list[Shown]
    next_cursor: str | None


def place_of(ask: Ask, asked: Paged) -> Any:
    """Where the page begins: the place of the last one on the page before as a tuple, or None at the beginning."""
    if asked.cursor is None:
        return None
    try:
        sealed = base64.urlsafe_b64decode(asked.cursor + "=" * (-len(asked.cursor) % 4))
        place = json.loads(ask.books.keyring.open(sealed, _about(ask)))
    except (ValueError, binascii.Error, IndexError):
        wrong = WrongField(where="query", field="cursor", sentence="This is not a cursor of this list.")
        raise Malformed([wrong]) from None
    return tuple(datetime.fromisoformat(part["at"]) if isinstance(part, dict) else part for part in place)


def page(
    ask: Ask, asked: Paged, found: Sequence[Noun], place: Callable[[Noun], Place], shown: Callable[[Noun], Shown]
) -> Page[Shown]:
    """A page of what was found; one more than the limit is read, to know whether there is a next one."""
    data = found[: asked.limit]
    cursor = cursor_at(ask, place(data[-1])) if len(found) > asked.limit else None
    return Page(data=[shown(each) for each in data], next_cursor=cursor)


def cursor_at(ask: Ask, place: Place) -> str:
    """A cursor for what comes behind this place."""
    parts = [{"at": part.isoformat()} if isinstance(part, datetime) else part for part in place]
    sealed = ask.books.keyring.seal(json.dumps(parts), _about(ask))
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _about(ask: Ask) -> str:
    return f"cursor {ask.by.account_id or 'operator'} {ask.request.url.path}"
