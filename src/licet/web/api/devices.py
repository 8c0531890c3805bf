"""Devices: imported, found again, explained, reset and deleted; and what each has consumed."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from licet import enrol
from licet.activations import NEAR_EXPIRY, Activation
from licet.explain import explain
from licet.lifecycle import DeviceState
from licet.postgres import activations, devices, products
from licet.postgres.books import Books
from licet.products import Device, Imported
from licet.refusals import Reason, Refused
from licet.web.api.products import seen
from licet.web.fields import (
    Asked,
    At,
    DeviceKey,
    DeviceKeyInPath,
    DeviceSecret,
    Id,
    Instant,
    Line,
    ProductKey,
    ProductKeyInPath,
    Said,
    Switch,
    Told,
)
from licet.web.once import once
from licet.web.paging import Page, Paged, page, place_of
from licet.web.session import Ask, Managing, ManagingOnce, Reading

router = APIRouter(tags=["devices"])

MOST_IMPORTED = 10_000


class DeviceImported(Asked):
    """Without a secret the device is issued one. ``virtual``: the product's one free debug device."""

    device_key: DeviceKey
    device_secret: DeviceSecret | None = None
    virtual: Switch = False


class DevicesImported(Asked):
    devices: Annotated[list[DeviceImported], Field(min_length=1, max_length=MOST_IMPORTED)]


class DeviceSecretTold(Told):
    device_key: str
    device_secret: str


class ImportTold(Told):
    """In the order of the import."""

    data: list[DeviceSecretTold]


class DeviceTold(Told):
    """``activated_at`` and ``expires_at``: the last span; ``renews``: whether a next code will follow it."""

    product_key: str
    product_name: str
    device_key: str
    state: DeviceState
    online: bool
    virtual: bool
    renews: bool
    codes_consumed: int
    activated_at: At | None
    expires_at: At | None
    enrolled_at: At


class ActivationTold(Told):
    number: int
    starts_at: At
    ends_at: At
    reason: str = Field(description="first, renewal or reactivation")
    lot_id: str
    order_reference: str
    lapse: str | None = Field(description="Why no other code followed this one, when it ended.")


class History(Told):
    data: list[ActivationTold]


class ExplanationTold(Told):
    """``refusal``: the code of the reason; ``consumes``: whether connecting now would cost a code."""

    admitted: bool
    consumes: bool
    until: At | None
    refusal: str | None
    device_code: int | None
    sentence: str
    next_step: str
    facts: list[str]


class DevicesAsked(Paged):
    account_id: Id | None = None
    product_key: ProductKey | None = None
    device_key: Annotated[Line | None, Field(description="How the device key begins.")] = None
    state: DeviceState | None = None
    near_expiry: Annotated[Said, Field(description="Only those with 30 days or less left, the soonest first.")] = False
    activated_from: Instant | None = None
    activated_to: Instant | None = None
    expires_from: Instant | None = None
    expires_to: Instant | None = None


@router.post("/v1/products/{pk}/devices", status_code=201, response_model=ImportTold)
async def import_devices(pk: ProductKeyInPath, asked: DevicesImported, ask: ManagingOnce) -> Response:
    """Import devices, with their secrets or to be issued some. Importing again changes nothing and answers the same."""
    lines = [Imported(each.device_key, each.device_secret, each.virtual) for each in asked.devices]

    async def work(books: Books) -> ImportTold:
        imported = await enrol.import_devices(books, pk, lines, by=ask.by, now=ask.now)
        return ImportTold(data=[DeviceSecretTold(device_key=key, device_secret=secret) for key, secret in imported])

    return await once(ask, work)


@router.get("/v1/devices")
async def list_devices(asked: Annotated[DevicesAsked, Query()], ask: Reading) -> Page[DeviceTold]:
    """Devices, product by product and by key; near expiry the soonest first."""
    account_id = ask.account(asked.account_id)

    def told(device: Device) -> DeviceTold:
        return _told(ask, device)

    if not asked.near_expiry:
        found = await devices.page(
            ask.books,
            account_id,
            product_key=asked.product_key,
            device_key=asked.device_key,
            state=asked.state,
            activated_from=asked.activated_from,
            activated_to=asked.activated_to,
            expires_from=asked.expires_from,
            expires_to=asked.expires_to,
            after=place_of(ask, asked) or (0, ""),
            limit=asked.limit + 1,
            now=ask.now,
        )
        product_id = await _product_id(ask, found[asked.limit - 1]) if len(found) > asked.limit else 0
        return page(ask, asked, found, lambda each: (product_id, each.device_key), told)
    if asked.state is DeviceState.INACTIVE:
        return Page(data=[], next_cursor=None)  # who is near expiry is active
    soonest = ask.now + timedelta(microseconds=1)
    latest = soonest + NEAR_EXPIRY
    found = await devices.by_expiry(
        ask.books,
        account_id,
        expires_from=max(asked.expires_from or soonest, soonest),
        expires_to=min(asked.expires_to or latest, latest),
        product_key=asked.product_key,
        device_key=asked.device_key,
        activated_from=asked.activated_from,
        activated_to=asked.activated_to,
        limit=asked.limit + 1,
        now=ask.now,
        **({"after": place} if (place := place_of(ask, asked)) else {}),
    )
    return page(ask, asked, found, lambda each: (each.expires_at or ask.now, each.id), told)


@router.get("/v1/devices/{pk}/{dk}")
async def get_device(pk: ProductKeyInPath, dk: DeviceKeyInPath, ask: Reading) -> DeviceTold:
    """One device."""
    return _told(ask, await seen_device(ask, pk, dk))


@router.delete("/v1/devices/{pk}/{dk}", status_code=204)
async def delete_device(pk: ProductKeyInPath, dk: DeviceKeyInPath, ask: Managing) -> None:
    """Delete a device. No code comes back; if it is enrolled again within its span, it pays nothing."""
    await enrol.delete_device(ask.books, pk, dk, by=ask.by, now=ask.now)


@router.post("/v1/devices/{pk}/{dk}/reset", status_code=200, response_model=DeviceSecretTold)
async def reset_device(pk: ProductKeyInPath, dk: DeviceKeyInPath, ask: ManagingOnce) -> Response:
    """Give a device another secret. It keeps its code."""

    async def work(books: Books) -> DeviceSecretTold:
        secret = await enrol.reset_device(books, pk, dk, by=ask.by, now=ask.now)
        return DeviceSecretTold(device_key=dk, device_secret=secret)

    return await once(ask, work, status=200)


@router.get("/v1/devices/{pk}/{dk}/activations")
async def list_activations(pk: ProductKeyInPath, dk: DeviceKeyInPath, ask: Reading) -> History:
    """Every code that a device consumed, the first one first."""
    await seen_device(ask, pk, dk)
    return History(data=[_activation(each) for each in await activations.history(ask.books, pk, dk)])


@router.get("/v1/devices/{pk}/{dk}/explain")
async def explain_device(pk: ProductKeyInPath, dk: DeviceKeyInPath, ask: Reading) -> ExplanationTold:
    """Why the device would be let in now, or would not, with the facts and the next step."""
    said = await explain(ask.books, pk, dk, by=ask.by, now=ask.now)
    return ExplanationTold(
        admitted=said.admitted,
        consumes=said.consumes,
        until=said.until,
        refusal=said.refusal.reason.code if said.refusal else None,
        device_code=said.refusal.reason.device_code if said.refusal else None,
        sentence=said.sentence,
        next_step=said.next_step,
        facts=said.facts,
    )


async def seen_device(ask: Ask, product_key: str, device_key: str) -> Device:
    """The device, if it exists for whoever asks."""
    await seen(ask, product_key)
    device = await devices.get(ask.books, product_key, device_key, now=ask.now)
    if device is None:
        raise Refused(Reason.NOT_FOUND, thing="device")
    return device


async def _product_id(ask: Ask, last: Device) -> int:
    """The books' own number for the product of the last device on a page."""
    product_id = (await products.identify(ask.books, [last.product_key])).get(last.product_key)
    if product_id is None:
        raise Refused(Reason.BUSY)  # deleted while we read: asked again, the page has other devices
    return product_id


def _told(ask: Ask, device: Device) -> DeviceTold:
    return DeviceTold(
        product_key=device.product_key,
        product_name=device.product_name,
        device_key=device.device_key,
        state=device.state,
        online=ask.door.presence(device.product_key, device.device_key),
        virtual=device.virtual,
        renews=device.renews,
        codes_consumed=device.codes_consumed,
        activated_at=device.activated_at,
        expires_at=device.expires_at,
        enrolled_at=device.enrolled_at,
    )


def _activation(activation: Activation) -> ActivationTold:
    return ActivationTold(
        number=activation.number,
        starts_at=activation.starts_at,
        ends_at=activation.ends_at,
        reason=activation.reason.name.lower(),
        lot_id=activation.lot_id,
        order_reference=activation.order_reference,
        lapse=activation.lapse.value if activation.lapse else None,
    )
