"""Firmware: uploaded by people and programs, fetched by devices in parts, with the bytes counted as they are sent."""

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from licet import ota
from licet.firmware import Firmware
from licet.postgres import firmware
from licet.postgres.books import Books
from licet.products import DEVICE_KEY, DEVICE_SECRET, PRODUCT_KEY, Knock
from licet.refusals import Reason, Refused
from licet.web import problem
from licet.web.door import Door, door_of
from licet.web.fields import Asked, At, Id, IdInPath, Name, Told
from licet.web.once import once
from licet.web.paging import Page, Paged, page, place_of
from licet.web.ranges import Span, asked_for
from licet.web.sending import Sending
from licet.web.session import Managing, ManagingOnce, Reading, address_of
from licet.web.shelf import TooLarge
from licet.web.tries import DEVICE, DEVICES, network_of

router = APIRouter(tags=["firmware"])

_BYTES = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/octet-stream": _BYTES}}}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "All of it.", "content": {"application/octet-stream": _BYTES}},
    206: {"description": "The range that was asked for.", "content": {"application/octet-stream": _BYTES}},
}


class UploadAsked(Asked):
    """``account_id``: whose it is; for those who have an account it is their own."""

    name: Name
    account_id: Id | None = None


class FirmwareTold(Told):
    id: str
    account_id: str
    name: str
    bytes: int
    sha256: str
    uploaded_at: At
    uploaded_by: str


class FirmwaresAsked(Paged):
    account_id: Id | None = None


class OfferTold(Told):
    """What the device is to fetch, and where."""

    firmware_id: str
    url: str
    bytes: int
    sha256: str


@router.post("/v1/firmware", status_code=201, response_model=FirmwareTold, openapi_extra=_UPLOAD)
async def upload_firmware(asked: Annotated[UploadAsked, Query()], ask: ManagingOnce) -> Response:
    """Upload a firmware: the bytes of the file are the body. Uploading the same bytes again makes another firmware."""
    account_id = ask.account(asked.account_id)
    if account_id is None:
        raise problem.Malformed([problem.WrongField(where="query", field="account_id", sentence="Whose is it?")])
    shelf, said = ask.door.shelf, ask.request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > shelf.most_bytes:
        return problem.response(problem.too_large(shelf.most_bytes), ask.request.state.request_id)
    try:
        received = await shelf.receive(ask.request.stream())
    except TooLarge:
        return problem.response(problem.too_large(shelf.most_bytes), ask.request.state.request_id)
    try:
        if not received.size:
            raise problem.Malformed([problem.WrongField(where="body", field="", sentence="This file is empty.")])

        async def work(books: Books) -> FirmwareTold:
            uploaded = await ota.upload_firmware(
                books,
                account_id,
                name=asked.name,
                size=received.size,
                sha256=received.sha256,
                put=lambda: shelf.put(received),
                by=ask.by,
                now=ask.now,
            )
            return _told(uploaded)

        return await once(ask, work, body=received.sha256.encode())
    finally:
        await shelf.discard(received)


@router.get("/v1/firmware")
async def list_firmware(asked: Annotated[FirmwaresAsked, Query()], ask: Reading) -> Page[FirmwareTold]:
    """Firmware, the latest first."""
    account_id, after = ask.account(asked.account_id), place_of(ask, asked)
    found = await firmware.page(ask.books, account_id, after=after, limit=asked.limit + 1)
    return page(ask, asked, found, lambda each: (each.uploaded_at, each.id), _told)


@router.get("/v1/firmware/offer")
async def get_offer(request: Request) -> OfferTold:
    """What is offered to a device, or half fetched. The device signs in as for the file itself; 404: nothing is."""
    device_id, _ = await _device(request)
    door = door_of(request)
    offered = await ota.offer_to(door.books, device_id)
    return OfferTold(firmware_id=offered.id, url=url_of(door, offered.id), bytes=offered.bytes, sha256=offered.sha256)


@router.delete("/v1/firmware/{firmware_id}", status_code=204)
async def delete_firmware(firmware_id: IdInPath, ask: Managing) -> None:
    """Delete a firmware that no device waits for; the upgrades that were made with it stay."""
    await ota.delete_firmware(ask.books, firmware_id, remove=ask.door.shelf.remove, by=ask.by, now=ask.now)


@router.get("/v1/firmware/{firmware_id}/file", response_class=Response, responses=_FILE)
async def fetch_firmware(firmware_id: IdInPath, request: Request) -> Response:
    """A device fetches its firmware: HTTP Basic, user name `PK/DK`, password its secret; `Range` goes on with it.

    The first byte reserves the upgrade, or takes up the offer; the last byte of the file completes it. A transfer that
    broke off stays reserved for 24 hours, and goes on by `Range` at no cost.
    """
    _, knock = await _device(request)
    door, found = door_of(request), await _seen(request, firmware_id)
    etag = f'"{found.sha256}"'
    wanted = request.headers.get("range") if request.headers.get("if-range") in (None, etag) else None
    try:
        part = asked_for(wanted, found.bytes)
    except ValueError:
        no = problem.response(problem.no_such_range(found.bytes), request.state.request_id)
        no.headers["Content-Range"] = f"bytes */{found.bytes}"
        return no
    span = part or Span(0, found.bytes)
    await door.shelf.look_for(found.sha256)
    fetch = await ota.begin_fetch(
        door.books, knock.product_key, knock.device_key, found, first=span.first, now=door.clock()
    )
    headers = {"Accept-Ranges": "bytes", "ETag": etag, "Content-Length": str(span.stop - span.first)}
    if part:
        headers["Content-Range"] = f"bytes {span.first}-{span.stop - 1}/{found.bytes}"
    return Sending(door, fetch, span, status=206 if part else 200, headers=headers)


@router.head("/v1/firmware/{firmware_id}/file", include_in_schema=False)
async def look_at_firmware(firmware_id: IdInPath, request: Request) -> Response:
    """How large it is, for a device that wants to know beforehand. Nothing is reserved for it."""
    await _device(request)
    found = await _seen(request, firmware_id)
    headers = {"Accept-Ranges": "bytes", "ETag": f'"{found.sha256}"', "Content-Length": str(found.bytes)}
    return Response(None, 200, headers, "application/octet-stream")


async def _seen(request: Request, firmware_id: str) -> Firmware:
    found = await firmware.get(door_of(request).books, firmware_id)
    if found is None:
        raise Refused(Reason.NOT_FOUND, thing="firmware")
    return found


def url_of(door: Door, firmware_id: str) -> str:
    """Where a device fetches it."""
    return f"{door.public_url.rstrip('/')}/v1/firmware/{firmware_id}/file"


async def _device(request: Request) -> tuple[int, Knock]:
    """The device that signs in, by HTTP Basic: its id, and what it showed.

    Guesses at one device's secret are counted before they are tried; so a device that is right waits for nobody else.
    """
    door, network = door_of(request), network_of(address_of(request))
    now, knock = door.clock(), _knock(request.headers.get("authorization", ""))
    if knock is None:
        door.tries.begin(DEVICES, network, now=now)
        raise Refused(Reason.NOT_AUTHORIZED)
    who = f"{network} {knock.product_key}/{knock.device_key}"
    door.tries.begin(DEVICE, who, now=now)
    try:
        device_id = await ota.recognise(door.books, knock, now=now)
    except Refused as refused:
        if refused.reason is Reason.NOT_AUTHORIZED:
            door.tries.begin(DEVICES, network, now=now)
        else:
            door.tries.was_right(DEVICE, who)
        raise
    door.tries.was_right(DEVICE, who)
    return device_id, knock


def _knock(authorization: str) -> Knock | None:
    """Who a device says it is, if it can be one."""
    kind, _, carried = authorization.partition(" ")
    try:
        user, _, secret = base64.b64decode(carried.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    product_key, _, device_key = user.partition("/")
    shown = ((PRODUCT_KEY, product_key), (DEVICE_KEY, device_key), (DEVICE_SECRET, secret))
    if kind.lower() != "basic" or not all(shape.fullmatch(text) for shape, text in shown):
        return None
    return Knock(product_key, device_key, secret)


def _told(of: Firmware) -> FirmwareTold:
    return FirmwareTold(
        id=of.id,
        account_id=of.account_id,
        name=of.name,
        bytes=of.bytes,
        sha256=of.sha256,
        uploaded_at=of.uploaded_at,
        uploaded_by=of.uploaded_by,
    )
