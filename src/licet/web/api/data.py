"""Messages to a device, how far they have come, and what the device sent and was sent, read back (rule E5)."""

import base64
import binascii
import json
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, Field
from pydantic_core import to_json

from licet.allowances import Direction
from licet.messages import DOWNLINK_BYTES, DeliveryState, Downlink, StoredMessage, is_topic
from licet.postgres import downlinks, storage
from licet.postgres.books import Books
from licet.products import Device
from licet.refusals import Reason, Refused
from licet.send import send
from licet.web.api.devices import seen_device
from licet.web.fields import Asked, At, DeviceKeyInPath, IdInPath, Instant, ProductKeyInPath, Told
from licet.web.once import once
from licet.web.paging import Page, Paged, cursor_at, page, place_of
from licet.web.problem import Malformed, WrongField
from licet.web.session import Ask, ManagingOnce, Reading

router = APIRouter(tags=["messages"])

_ONE_OF = ("payload", "payload_base64", "json")


def _topic(text: str) -> str:
    if not is_topic(text):
        raise ValueError("a topic is levels of visible ASCII, parted by /, without wildcards and dots")
    return text


class MessageAsked(Asked):
    """``topic``: what comes behind down/PK/DK/. The payload is one of three: text, Base64, or JSON as it stands."""

    topic: Annotated[str, AfterValidator(_topic), Field(examples=["set/light"])]
    payload: str | None = None
    payload_base64: str | None = None
    json_: Annotated[Any, Field(alias="json")] = None


class MessageTold(Told):
    """``state``: waiting (in the books), sent (stored at the broker, and counted), delivered (the device has
    acknowledged it). ``delivered_at``: when licet heard so; it may be null though the message is delivered."""

    id: str
    topic: str
    bytes: int
    state: DeliveryState
    asked_at: At
    asked_by: str
    delivered_at: At | None


class As(StrEnum):
    """How a payload is shown."""

    TEXT = "text"
    JSON = "json"
    BASE64 = "base64"


class DataAsked(Paged):
    from_: Annotated[Instant | None, Field(alias="from")] = None
    to: Instant | None = None
    direction: Direction | None = None
    as_: Annotated[
        As | None,
        Field(
            alias="as", description="What cannot be shown so is shown as Base64. By default as text where it is text."
        ),
    ] = None


class DataTold(Told):
    """``topic``: what comes behind up/PK/DK/ or down/PK/DK/. ``encoding`` says how the payload is shown."""

    at: At
    direction: Direction
    topic: str
    qos: int
    bytes: int
    encoding: As
    payload: Any


@router.post("/v1/devices/{pk}/{dk}/messages", status_code=201, response_model=MessageTold)
async def send_message(pk: ProductKeyInPath, dk: DeviceKeyInPath, asked: MessageAsked, ask: ManagingOnce) -> Response:
    """Send a device a message: stored, counted, delivered at QoS 1, and kept for it while it is away."""
    payload = _payload(asked)

    async def work(books: Books) -> MessageTold:
        return _told(await send(books, pk, dk, topic=asked.topic, payload=payload, by=ask.by, now=ask.now))

    answer = await once(ask, work)
    ask.door.send_down()
    return answer


@router.get("/v1/devices/{pk}/{dk}/messages")
async def list_messages(
    pk: ProductKeyInPath, dk: DeviceKeyInPath, asked: Annotated[Paged, Query()], ask: Reading
) -> Page[MessageTold]:
    """Messages to a device and how far each has come, the latest first."""
    device = await seen_device(ask, pk, dk)
    after = (place_of(ask, asked) or (None,))[0]
    found = await downlinks.page(ask.books, device.id, after=after, limit=asked.limit + 1)
    delivered = await _delivered(ask, device, found)
    return page(ask, asked, found, lambda each: (each.ordinal,), lambda each: _told(each, delivered))


@router.get("/v1/devices/{pk}/{dk}/messages/{message_id}")
async def get_message(pk: ProductKeyInPath, dk: DeviceKeyInPath, message_id: IdInPath, ask: Reading) -> MessageTold:
    """One message to a device, and how far it has come."""
    device = await seen_device(ask, pk, dk)
    found = await downlinks.page(ask.books, device.id, message_id=message_id, limit=1)
    if not found:
        raise Refused(Reason.NOT_FOUND, thing="message")
    return _told(found[0], await _delivered(ask, device, found))


@router.get("/v1/devices/{pk}/{dk}/data")
async def list_data(
    pk: ProductKeyInPath, dk: DeviceKeyInPath, asked: Annotated[DataAsked, Query()], ask: Reading
) -> Page[DataTold]:
    """What a device sent and was sent, the oldest first, for as long as it is kept.

    A page may hold less than its limit and have a next one all the same.
    """
    await seen_device(ask, pk, dk)
    (kept,) = await storage.days_kept(ask.books, pk, now=ask.now)
    kept_from = kept.since(ask.now)
    found = await ask.door.messages.page(
        pk,
        dk,
        direction=asked.direction,
        since=max(asked.from_ or kept_from, kept_from),
        until=asked.to,
        place=place_of(ask, asked),
        limit=asked.limit,
    )
    return Page(
        data=[_shown(each, asked.as_) for each in found.messages],
        next_cursor=None if found.next_place is None else cursor_at(ask, found.next_place),
    )


async def _delivered(ask: Ask, device: Device, found: list[Downlink]) -> set[int]:
    """Of those that the books do not know to be delivered: what the session knows. A broker that is away knows none."""
    sent = {each.sequence: each.topic for each in found if each.state is DeliveryState.SENT and each.sequence}
    if not sent:
        return set()
    try:
        return await ask.door.messages.acknowledged(device.product_key, device.device_key, sent)
    except Refused as away:
        if away.reason is Reason.BROKER_AWAY:
            return set()
        raise


def _told(message: Downlink, delivered: set[int] | None = None) -> MessageTold:
    known = message.sequence is not None and message.sequence in (delivered or ())
    return MessageTold(
        id=message.id,
        topic=message.topic,
        bytes=message.bytes,
        state=DeliveryState.DELIVERED if known else message.state,
        asked_at=message.asked_at,
        asked_by=message.asked_by,
        delivered_at=message.delivered_at,
    )


def _payload(asked: MessageAsked) -> bytes:
    given = [name for name in _ONE_OF if name in {_name(field) for field in asked.model_fields_set}]
    if len(given) != 1:
        raise Malformed([_wrong("payload", f"One of {', '.join(_ONE_OF)} is given.")])
    (name,) = given
    try:
        payload = _bytes(asked, name)
    except (ValueError, binascii.Error):
        raise Malformed([_wrong(name, "This cannot be made bytes of.")]) from None
    if len(payload) > DOWNLINK_BYTES:
        raise Malformed([_wrong(name, f"A message to a device is at most {DOWNLINK_BYTES} bytes.")])
    return payload


def _bytes(asked: MessageAsked, name: str) -> bytes:
    if name == "json":
        return json.dumps(asked.json_, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    if name == "payload":
        return (asked.payload or "").encode()
    return base64.b64decode(asked.payload_base64 or "", validate=True)


def _name(field: str) -> str:
    return field.rstrip("_")


def _wrong(field: str, sentence: str) -> WrongField:
    return WrongField(where="body", field=field, sentence=sentence)


def _shown(message: StoredMessage, asked: As | None) -> DataTold:
    encoding, payload = _encoded(message.payload, asked)
    return DataTold(
        at=message.at,
        direction=message.direction,
        topic=message.topic,
        qos=message.qos,
        bytes=len(message.payload),
        encoding=encoding,
        payload=payload,
    )


def _encoded(payload: bytes, asked: As | None) -> tuple[As, Any]:
    """As it was asked for, or as Base64."""
    try:
        if asked is As.JSON:
            return As.JSON, _json(payload)
        if asked in (As.TEXT, None):
            return As.TEXT, payload.decode()
    except (ValueError, RecursionError):
        pass
    return As.BASE64, base64.b64encode(payload).decode()


def _json(payload: bytes) -> Any:
    """What a device wrote, if it can be written again: neither what is no number, nor half a character, nor a tower."""
    said = json.loads(payload)
    json.dumps(said, allow_nan=False, ensure_ascii=False).encode()
    to_json([[[[[[[[said]]]]]]]])  # deeper than it lies in a page
    return said
