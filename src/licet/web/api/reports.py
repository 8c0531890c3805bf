"""Use that is reported from outside, as CloudEvents; and the quarantine, where it goes when it cannot be counted.

A body is read by hand, since it may hold thousands of events; every field that is wrong is named.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from licet.accounts import Scope
from licet.allowances import MESSAGE_BYTES, Direction, Usage, counted
from licet.postgres import usage
from licet.postgres.books import Books
from licet.postgres.usage import Quarantined
from licet.report import Report, report
from licet.web.fields import At, Told
from licet.web.once import once
from licet.web.paging import Page, Paged, page, place_of
from licet.web.problem import Malformed, WrongField
from licet.web.session import Ask, Operating, signed_in_once

router = APIRouter(tags=["usage"])

MOST_EVENTS = 10_000
MOST_MESSAGES = 100_000  # in one event: no device sends that many in one go, and sums of them stay within their columns

#: The types of events that are counted. Others are kept in quarantine, for somebody to look at.
TYPES = {"licet.usage.messages": Usage.MESSAGES}

Ingesting = Annotated[Ask, signed_in_once(Scope.INGEST)]


class UsedTold(Told):
    """Either the ``bytes`` of one message, or how many ``messages`` they were. ``topic``: some do not count."""

    direction: Direction
    bytes: int | None = Field(default=None, ge=0, le=MOST_MESSAGES * MESSAGE_BYTES)
    messages: int | None = Field(default=None, ge=1, le=MOST_MESSAGES)
    topic: str = Field(default="", max_length=65535, description="What comes behind PK/DK/.")


class EventTold(Told):
    """A CloudEvent (1.0). ``subject``: PK/DK; other attributes are welcome, and ignored."""

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(max_length=255)
    source: str = Field(max_length=255)
    type: str = Field(max_length=255, examples=["licet.usage.messages"])
    time: datetime
    subject: str = Field(max_length=255, examples=["aX9kLm2QpR7/thermo1"])
    data: UsedTold


class ReportedTold(Told):
    """``duplicates``: were reported before, or twice in this batch. ``reasons``: of those in quarantine."""

    accepted: int
    duplicates: int
    quarantined: int
    reasons: dict[str, int]


class QuarantinedTold(Told):
    """``reported``: what could not be counted, as it was sent."""

    id: int
    at: At
    source: str
    reason: str
    reported: dict[str, Any]


_EVENT = {"$ref": "#/components/schemas/EventTold"}
_EVENTS = {"type": "array", "items": _EVENT, "maxItems": MOST_EVENTS}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents-batch+json": {"schema": _EVENTS},
            "application/cloudevents+json": {"schema": _EVENT},
            "application/json": {"schema": {"anyOf": [_EVENTS, _EVENT]}},
        },
    }
}


@router.post("/v1/usage", response_model=ReportedTold, openapi_extra=_BODY)
async def report_usage(request: Request, ask: Ingesting) -> Response:
    """Report what devices used: one CloudEvent, or up to 10,000 of them. Each source and id counts once, for ever."""
    told = _reports(await request.body())

    async def work(books: Books) -> ReportedTold:
        done = await report(books, told, by=ask.by, now=ask.now)
        return ReportedTold(
            accepted=done.accepted,
            duplicates=done.duplicates,
            quarantined=done.quarantined,
            reasons={doubt.value: count for doubt, count in done.doubts.items()},
        )

    try:
        return await once(ask, work, status=200)
    except RecursionError:
        raise Malformed([_wrong("", "This is nested too deeply.")]) from None


@router.get("/v1/quarantine")
async def list_quarantine(asked: Annotated[Paged, Query()], ask: Operating) -> Page[QuarantinedTold]:
    """Use that could not be counted, the latest first: no such device or kind, or a time that cannot be."""
    after = (place_of(ask, asked) or (None,))[0]
    found = await usage.quarantined(ask.books, after=after, limit=asked.limit + 1)
    return page(ask, asked, found, lambda each: (each.id,), _told)


_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"\A[^\0]*\Z")]


class _Event(msgspec.Struct):
    id: _Text
    source: _Text
    type: _Text
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    subject: _Text
    data: Any = None
    specversion: Literal["1.0"] = "1.0"


class _Used(msgspec.Struct):
    direction: Direction
    bytes: Annotated[int, msgspec.Meta(ge=0, le=MOST_MESSAGES * MESSAGE_BYTES)] | None = None
    messages: Annotated[int, msgspec.Meta(ge=1, le=MOST_MESSAGES)] | None = None
    topic: Annotated[str, msgspec.Meta(max_length=65535)] = ""


_TEXT = "This is a text of 1 to 255 characters."
_SENTENCES = {
    "id": _TEXT,
    "source": _TEXT,
    "type": _TEXT,
    "time": "This is an instant as RFC 3339 writes it, like 2026-02-01T08:00:00Z.",
    "subject": _TEXT,
    "specversion": "This is 1.0.",
    "direction": "This is up or down.",
    "bytes": f"This is a whole number from 0 to {MOST_MESSAGES * MESSAGE_BYTES}.",
    "messages": f"This is a whole number from 1 to {MOST_MESSAGES}.",
    "topic": "This is a text.",
}


def _reports(body: bytes) -> list[Report]:
    """Every event of the body; or all that is wrong with them, at once."""
    try:
        read = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Malformed([_wrong("", "This is not JSON.")]) from None
    events = read if isinstance(read, list) else [read]
    if len(events) > MOST_EVENTS:
        raise Malformed([_wrong("", f"These are more than {MOST_EVENTS} events.")])
    told: list[Report] = []
    wrong: list[WrongField] = []
    for index, event in enumerate(events):
        try:
            told.append(_report(event))
        except msgspec.ValidationError:
            wrong += _wrong_in(event, f"{index}." if isinstance(read, list) else "")
    if wrong:
        raise Malformed(wrong)
    return told


def _report(sent: Any) -> Report:
    event = msgspec.convert(sent, _Event)
    product_key, _, device_key = event.subject.partition("/")
    kind = TYPES.get(event.type)
    direction, messages = Direction.UP, 0
    if kind is not None:
        used = msgspec.convert(event.data, _Used)
        if (used.bytes is None) == (used.messages is None):
            raise msgspec.ValidationError
        direction = used.direction
        messages = used.messages or counted(direction, used.topic, used.bytes or 0)
    return Report(event.source, event.id, kind, event.time, product_key, device_key, direction, messages, sent)


def _wrong_in(sent: Any, at: str) -> list[WrongField]:
    """All that is wrong with one event."""
    wrong = _wrong_fields(sent, _Event, at)
    if not isinstance(sent, dict) or str(sent.get("type")) not in TYPES:
        return wrong
    used = sent.get("data")
    in_data = _wrong_fields(used, _Used, f"{at}data.")
    if not in_data and isinstance(used, dict) and (used.get("bytes") is None) == (used.get("messages") is None):
        in_data = [_wrong(f"{at}data", "This has either bytes or messages.")]
    return wrong + in_data


def _wrong_fields(sent: Any, shape: type[msgspec.Struct], at: str) -> list[WrongField]:
    if not isinstance(sent, dict):
        return [_wrong(at.rstrip("."), "This is an object.")]
    wrong = []
    for each in msgspec.structs.fields(shape):
        if each.name in sent:
            try:
                msgspec.convert(sent[each.name], each.type)
            except msgspec.ValidationError:
                wrong.append(_wrong(at + each.name, _SENTENCES[each.name]))
        elif each.required:
            wrong.append(_wrong(at + each.name, _SENTENCES[each.name]))
    return wrong


def _wrong(field: str, sentence: str) -> WrongField:
    return WrongField(where="body", field=field, sentence=sentence)


def _told(kept: Quarantined) -> QuarantinedTold:
    return QuarantinedTold(id=kept.id, at=kept.at, source=kept.source, reason=kept.reason, reported=kept.reported)
