"""Devices: lists of them, one with its history and why it is let in or not, import, renewal, near expiry."""

import csv
import re
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from licet import enrol
from licet.activations import NEAR_EXPIRY
from licet.explain import explain
from licet.lifecycle import DeviceState
from licet.postgres import accounts, activations, devices, products
from licet.products import DEVICE_KEY, DEVICE_SECRET, PRODUCT_KEY, Device, Imported, Product
from licet.refusals import Reason, Refused
from licet.web.console.desk import Desk, Looking, Managing, back_to
from licet.web.console.forms import Form, Said
from licet.web.console.turning import PAGE, place, turn

router = APIRouter(prefix="/accounts/{account_id}")
SECTION = "Devices"
_MOST_IMPORTED = 10_000
_MOST_BYTES = 4 * 1024 * 1024
_MOST_NAMED = 5


async def asked_devices(desk: Desk, product: Product | None) -> dict[str, Any]:
    """The devices that a list is asked for, and what it was asked: key, product, state, activation and expiry dates."""
    form = Form.asked(desk.ask.request)
    device_key, product_key = form.typed.get("device_key", "").strip(), form.typed.get("product_key", "").strip()
    state = form.typed.get("state", "")
    days = {
        f"{what}_{side}": form.day(f"{what}_{side}", desk.zone, after=1 if side == "to" else 0)
        for what in ("activated", "expires")
        for side in ("from", "to")
    }
    found = await devices.page(
        desk.books,
        desk.account_id,
        product_key=product.product_key if product else product_key or None,
        device_key=device_key or None,
        state=DeviceState(state) if state in set(DeviceState) else None,
        **days,
        after=place(desk) or (0, ""),
        limit=PAGE + 1,
        now=desk.ask.now,
    )
    product_id = product.id if product else None
    ends = await _ids(desk, found) if product_id is None else {}
    rows, cursor, first = turn(desk, found, lambda d: (product_id or ends[d.product_key], d.device_key))
    return {
        "devices": rows,
        "cursor": cursor,
        "first": first,
        "typed": form.typed,
        "dated": any(days.values()),
        "filtered": bool(device_key or product_key or state or any(days.values())),
    }


async def _ids(desk: Desk, found: Iterable[Device]) -> dict[str, int]:
    return await products.identify(desk.books, sorted({device.product_key for device in found}))


async def of_account(desk: Looking, product_key: str, device_key: str) -> tuple[Product, Device]:
    """The device of the path; another account's does not exist."""
    product = await products.get(desk.books, product_key, now=desk.ask.now)
    device = await devices.get(desk.books, product_key, device_key, now=desk.ask.now)
    if product is None or product.account_id != desk.account_id or device is None:
        raise Refused(Reason.NOT_FOUND, thing="device")
    return product, device


Here = Annotated[tuple[Product, Device], Depends(of_account)]


@router.get("/devices")
async def every(desk: Looking) -> Response:
    facts = await asked_devices(desk, None)
    return desk.page("devices/list.html", section=SECTION, product=None, **facts)


@router.get("/products/{product_key}/devices/{device_key}")
async def page(desk: Looking, found: Here) -> Response:
    """One device: whether it would be let in and why, its figures, its activation history."""
    product, device = found
    why = await explain(desk.books, product.product_key, device.device_key, by=desk.by, now=desk.ask.now)
    return desk.page(
        "devices/page.html",
        section="Product Management",
        product=product,
        device=device,
        why=why,
        online=desk.ask.door.presence(product.product_key, device.device_key),
        activations=await activations.history(desk.books, product.product_key, device.device_key),
    )


@router.post("/products/{product_key}/devices/{device_key}/renewal")
async def renewal(desk: Managing, found: Here, request: Request) -> Response:
    product, device = found
    renews = (await Form.of(request)).switch("renews")
    await enrol.list_no_renewal(
        desk.books, product.product_key, [device.device_key], renews=renews, by=desk.by, now=desk.ask.now
    )
    said = Said("good", "It renews again." if renews else "It goes offline when its code ends.")
    return desk.go(_address(desk, device), said)


@router.get("/products/{product_key}/devices/{device_key}/reset")
async def reset_question(desk: Managing, found: Here) -> Response:
    _, device = found
    return desk.page(
        "house/sure.html",
        section="Product Management",
        form=Form(),
        back=_address(desk, device),
        question=f"Reset the secret of {device.device_key}?",
        what="It is cut off until it has the new secret. It keeps its code.",
        act="Reset",
        bad=False,
    )


@router.post("/products/{product_key}/devices/{device_key}/reset")
async def reset(desk: Managing, found: Here) -> Response:
    product, device = found
    secret = await enrol.reset_device(desk.books, product.product_key, device.device_key, by=desk.by, now=desk.ask.now)
    said = Said("good", "The device has a new secret.", "It is shown this once.", secret)
    return desk.go(_address(desk, device), said)


@router.get("/products/{product_key}/devices/{device_key}/delete")
async def delete_question(desk: Managing, found: Here) -> Response:
    _, device = found
    return desk.page(
        "house/sure.html",
        section="Product Management",
        form=Form(),
        back=_address(desk, device),
        question=f"Delete {device.device_key}?",
        what="It is cut off at once. Its code is not returned; if it comes back within its validity, it pays nothing.",
        act="Delete",
        bad=True,
    )


@router.post("/products/{product_key}/devices/{device_key}/delete")
async def delete(desk: Managing, found: Here) -> Response:
    product, device = found
    await enrol.delete_device(desk.books, product.product_key, device.device_key, by=desk.by, now=desk.ask.now)
    return desk.go(desk.here(f"products/{product.product_key}"), Said("good", f"{device.device_key} is deleted."))


@router.get("/codes/near-expiry")
async def near_expiry(desk: Looking) -> Response:
    """Devices with 0 to 30 days left (rule D6), soonest first."""
    now, form = desk.ask.now, Form.asked(desk.ask.request)
    until = now + NEAR_EXPIRY
    since, to = form.day("from", desk.zone), form.day("to", desk.zone, after=1)
    after = place(desk)
    found = await devices.by_expiry(
        desk.books,
        desk.account_id,
        expires_from=max(now, since) if since else now,
        expires_to=min(until, to) if to else until,
        product_key=form.typed.get("product_key", "").strip() or None,
        device_key=form.typed.get("device_key", "").strip() or None,
        **({"after": after} if after else {}),
        limit=PAGE + 1,
        now=now,
    )
    rows, cursor, first = turn(desk, found, lambda device: (device.expires_at or now, device.id))
    return desk.page(
        "devices/near_expiry.html",
        section="Near-expiry devices",
        count=(await accounts.codes(desk.books, desk.account_id, now=now)).near_expiry,
        until=until,
        now=now,
        typed=form.typed,
        devices=rows,
        cursor=cursor,
        first=first,
    )


@router.post("/codes/near-expiry")
async def switch_renewal(desk: Managing, request: Request) -> Response:
    """Renewal of many devices at once, product by product."""
    sent = await request.form(max_fields=1000)
    renews, ticked = sent.get("renews") == "yes", [str(each) for each in sent.getlist("device")]
    address = back_to(str(sent.get("back", "")))
    by_product: dict[str, list[str]] = {}
    for name in ticked:
        product_key, _, device_key = name.partition("/")
        if PRODUCT_KEY.fullmatch(product_key) and DEVICE_KEY.fullmatch(device_key):
            by_product.setdefault(product_key, []).append(device_key)
    if not by_product:
        return desk.go(address, Said("warn", "No device is ticked."))
    async with desk.books.transaction() as bound:
        for product_key in sorted(by_product):
            product = await products.get(bound, product_key, now=desk.ask.now)
            if product is None or product.account_id != desk.account_id:
                raise Refused(Reason.NOT_FOUND, thing="product")
            await enrol.list_no_renewal(
                bound, product_key, by_product[product_key], renews=renews, by=desk.by, now=desk.ask.now
            )
    count = sum(map(len, by_product.values()))
    which = "One device renews" if count == 1 else f"{count:,} devices renew"
    return desk.go(address, Said("good", f"{which}{' again' if renews else ' no more'}."))


@router.get("/products/{product_key}/import")
async def import_form(desk: Managing, product_key: str) -> Response:
    return await _import_form(desk, product_key, Form())


async def _import_form(desk: Managing, product_key: str, form: Form, *, status: int = 200) -> Response:
    product = await products.get(desk.books, product_key, now=desk.ask.now)
    if product is None or product.account_id != desk.account_id:
        raise Refused(Reason.NOT_FOUND, thing="product")
    back = desk.here(f"products/{product_key}")
    return desk.page(
        "devices/import.html", section="Product Management", product=product, form=form, back=back, status=status
    )


@router.post("/products/{product_key}/import", max_body_size=2 * _MOST_BYTES)
async def import_them(desk: Managing, product_key: str, request: Request) -> Response:
    """Devices from a pasted list or a CSV file. Importing them again changes nothing, so this page may be reloaded."""
    form = await Form.of(request, most_bytes=_MOST_BYTES)
    where = "file" if form.typed.get("file") else "lines"
    imported = _imported(form, where)
    product = await products.get(desk.books, product_key, now=desk.ask.now)
    if form.is_right and product is not None and product.account_id == desk.account_id:
        try:
            done = await enrol.import_devices(desk.books, product_key, imported, by=desk.by, now=desk.ask.now)
        except Refused as refused:
            form.said = Said.no(refused)
            return await _import_form(desk, product_key, form, status=refused.reason.status)
        back = desk.here(f"products/{product_key}")
        return desk.page(
            "devices/imported.html",
            section="Product Management",
            product=product,
            imported=done,
            form=form,
            back=back,
        )
    return await _import_form(desk, product_key, form, status=422)


def _imported(form: Form, where: str) -> list[Imported]:
    """Lines of a device key and, perhaps, its secret; a heading is passed over. All that are malformed are named."""
    lines, wrong = [], []
    for number, cells in enumerate(csv.reader(form.typed.get(where, "").splitlines(), skipinitialspace=True), 1):
        device_key, secret, *more = [*(cell.strip() for cell in cells), "", ""][: max(2, len(cells))]
        if not device_key or (number == 1 and device_key.lower() in {"device_key", "dk"}):
            continue
        if not DEVICE_KEY.fullmatch(device_key):
            wrong.append(f"Line {number}: a device key is 4 to 32 letters and digits.")
        elif secret and not DEVICE_SECRET.fullmatch(secret):
            wrong.append(f"Line {number}: a device secret is 8 to 128 signs without spaces.")
        elif any(more):
            wrong.append(f"Line {number}: a device key and a secret, no more.")
        lines.append(Imported(device_key, secret or None, virtual=form.switch("virtual")))
    if wrong:
        rest = len(wrong) - _MOST_NAMED
        form.wrong[where] = " ".join(wrong[:_MOST_NAMED]) + (f" And {rest:,} more." if rest > 0 else "")
    elif not lines:
        form.wrong[where] = "Put in at least one device key."
    elif len(lines) > _MOST_IMPORTED:
        form.wrong[where] = f"At most {_MOST_IMPORTED:,} devices at a time."
    return lines


def device_keys_in(form: Form, name: str) -> list[str]:
    """Device keys, separated by whatever people put between them."""
    device_keys = [key for key in re.split(r"[\s,;]+", form.typed.get(name, "")) if key]
    wrong = [key for key in device_keys if not DEVICE_KEY.fullmatch(key)]
    if wrong:
        form.wrong[name] = f"{wrong[0][:40]} is no device key: 4 to 32 letters and digits."
    elif not device_keys:
        form.wrong[name] = "Put in at least one device key."
    return device_keys


def _address(desk: Desk, device: Device) -> str:
    return desk.here(f"products/{device.product_key}/devices/{device.device_key}")
