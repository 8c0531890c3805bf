"""Devices are imported, register themselves, are reset, listed as not renewing, and deleted (rules C3 to C7, D3)."""

from collections.abc import Sequence
from datetime import datetime

from licet.accounts import By
from licet.assign import settle_one
from licet.enrol.products import new_secret
from licet.events import Happening, Kind
from licet.postgres import activations, audit, devices, events, products
from licet.postgres.books import Books
from licet.postgres.devices import Held, NewSecret
from licet.products import Imported, LockedProduct, Registration, SecretOrigin
from licet.refusals import Reason, Refused
from licet.renew import settle


async def import_devices(
    books: Books, product_key: str, imported: Sequence[Imported], *, by: By, now: datetime
) -> list[tuple[str, str]]:
    """Enter devices in advance, without limit and without a code. Returns (device key, secret), in order.

    Importing a device again, with its secret or with none, changes nothing and returns the secret it has; a deleted
    device is back, with its spans, under a new secret.

    Raises ``Refused``: not_found, secret_differs, virtual_device_exists.
    """
    async with books.transaction() as books:
        product = await settle_one(books, product_key, by=by, now=now)
        async with books.transaction(product=product.name):
            return await _import(books, product, imported, by=by, now=now)


async def _import(
    books: Books, product: LockedProduct, imported: Sequence[Imported], *, by: By, now: datetime
) -> list[tuple[str, str]]:
    lines: dict[str, Imported] = {}
    for line in imported:
        if lines.setdefault(line.device_key, line) != line:
            raise Refused(Reason.SECRET_DIFFERS, device_key=line.device_key)
    held = await devices.lock_devices(books, product.id, list(lines))
    secrets = {line.device_key: _secret(books, product, line, held.get(line.device_key)) for line in lines.values()}
    sealed = {
        line.device_key: NewSecret(
            books.keyring.seal(secrets[line.device_key], f"{product.product_key}/{line.device_key}"),
            SecretOrigin.SUPPLIED if line.secret is not None else SecretOrigin.ISSUED,
            line.virtual,
        )
        for line in lines.values()
        if (was := held.get(line.device_key)) is None or was.deleted_at is not None
    }
    back = [(held[device_key].id, secret) for device_key, secret in sealed.items() if device_key in held]
    await devices.set_secrets(books, back)
    new = [(device_key, secret) for device_key, secret in sealed.items() if device_key not in held]
    await devices.insert_devices(books, product.id, new, now=now)
    if sealed:
        facts = {"count": len(sealed), "device_keys": sorted(sealed)}
        await _tell(books, Kind.DEVICES_IMPORTED, product, facts, now=now)
        await _record(books, product, "imported devices", {"count": len(sealed)}, by=by, now=now)
    return [(line.device_key, secrets[line.device_key]) for line in imported]


def _secret(books: Books, product: LockedProduct, line: Imported, was: Held | None) -> str:
    """The secret that this line of an import leaves its device with."""
    if was is None or was.sealed_secret is None:
        return line.secret or new_secret()
    secret = books.keyring.open(was.sealed_secret, f"{product.product_key}/{line.device_key}")
    if line.secret not in (None, secret) or line.virtual != was.virtual:
        raise Refused(Reason.SECRET_DIFFERS, device_key=line.device_key)
    return secret


async def check_registration(books: Books, asks: Sequence[Registration], *, now: datetime) -> list[Refused | None]:
    """Hold the signatures of registrations against their products' secrets, many at a time; None where one is good.

    An unknown product costs as much time as a wrong signature, and is told the same.
    """
    known = await products.secrets_of(books, sorted({asked.product_key for asked in asks}))
    answers: list[Refused | None] = []
    for asked in asks:
        found = known.get(asked.product_key)
        secret = books.keyring.open(found[1], asked.product_key) if found else books.keyring.open_nothing()
        good = asked.is_signed_with(secret) and found is not None
        answers.append(None if good else Refused(Reason.NOT_AUTHORIZED))
    return answers


async def register(books: Books, asked: Registration, *, now: datetime) -> str:
    """Issue a device its own secret in exchange for a proof of its product's: once, until it is reset (rule C5).

    1. Check the signature.
    2. Hold the product and the device. With dynamic authentication off, a device that is not in the books is refused;
       one that has registered, or whose secret was imported with it, has its secret already.
    3. Spend the nonce, for good; write the new secret.

    Raises ``Refused``: not_authorized, dynamic_authentication_off, already_registered, nonce_used.
    """
    (wrong,) = await check_registration(books, [asked], now=now)
    if wrong is not None:
        raise wrong
    secret = new_secret()
    async with books.transaction() as books:
        product_id = (await products.identify(books, [asked.product_key])).get(asked.product_key)
        locked = await settle(books, [product_id], now=now) if product_id is not None else []
        if not locked:
            raise Refused(Reason.NOT_AUTHORIZED)
        product = locked[0]
        was = (await devices.lock_devices(books, product.id, [asked.device_key])).get(asked.device_key)
        sealed = NewSecret(
            books.keyring.seal(secret, f"{asked.product_key}/{asked.device_key}"),
            SecretOrigin.REGISTERED,
            virtual=was is not None and was.virtual and was.deleted_at is None,
        )
        if (was is None or was.deleted_at is not None) and not product.dynamic_authentication:
            raise Refused(Reason.DYNAMIC_AUTHENTICATION_OFF)
        if was is None:
            device_id = (await devices.insert_devices(books, product.id, [(asked.device_key, sealed)], now=now))[
                asked.device_key
            ]
        else:
            device_id = was.id
            if not await _may_register(books, was):
                raise Refused(Reason.ALREADY_REGISTERED)
            await devices.set_secrets(books, [(device_id, sealed)])
        await devices.spend_nonce(books, device_id, asked.nonce, now=now)
        await _tell(books, Kind.DEVICE_REGISTERED, product, {"device_keys": [asked.device_key]}, now=now)
    return secret


async def _may_register(books: Books, was: Held) -> bool:
    """A secret that was issued at import may be registered over until the device's first connect."""
    if was.secret_origin is SecretOrigin.ISSUED and not was.virtual:
        return (await activations.latest(books, [was.id]))[was.id].ordinal == 0
    return was.deleted_at is not None or was.secret_origin is SecretOrigin.RESET


async def reset_device(books: Books, product_key: str, device_key: str, *, by: By, now: datetime) -> str:
    """A new secret for a device, shown this once; it keeps its code, may register again, and is hung up."""
    secret = new_secret()
    async with books.transaction() as books:
        product = await settle_one(books, product_key, by=by, now=now)
        (device,) = await _held(books, product, [device_key])
        sealed = books.keyring.seal(secret, f"{product_key}/{device_key}")
        await devices.set_secrets(books, [(device.id, NewSecret(sealed, SecretOrigin.RESET, device.virtual))])
        await _tell(books, Kind.DEVICE_RESET, product, {"device_keys": [device_key]}, now=now)
        await _record(books, product, "reset device", {"device_key": device_key}, by=by, now=now)
    return secret


async def delete_device(books: Books, product_key: str, device_key: str, *, by: By, now: datetime) -> None:
    """Delete a device: no code comes back; if it returns within its validity it pays nothing (rule C6)."""
    async with books.transaction() as books:
        product = await settle_one(books, product_key, by=by, now=now)
        (device,) = await _held(books, product, [device_key])
        await devices.resume_renewing(books, [device.id])
        await devices.delete(books, [device.id], now=now)
        await _tell(books, Kind.DEVICE_DELETED, product, {"device_keys": [device_key]}, now=now)
        await _record(books, product, "deleted device", {"device_key": device_key}, by=by, now=now)


async def list_no_renewal(
    books: Books, product_key: str, device_keys: Sequence[str], *, renews: bool, by: By, now: datetime
) -> int:
    """Put devices on the list of those that do not renew, or take them off. Returns how many that changed."""
    async with books.transaction() as books:
        product = await settle_one(books, product_key, by=by, now=now)
        ids = [device.id for device in await _held(books, product, device_keys)]
        if renews:
            changed = await devices.resume_renewing(books, ids)
        else:
            changed = await devices.stop_renewing(books, ids, now=now)
        if changed:
            facts = {"renews": renews, "device_keys": sorted(device_keys)}
            await _tell(books, Kind.RENEWAL_SWITCHED, product, facts, now=now)
            await _record(books, product, "switched renewal", facts, by=by, now=now)
        return changed


async def _held(books: Books, product: LockedProduct, device_keys: Sequence[str]) -> list[Held]:
    found = await devices.lock_devices(books, product.id, device_keys)
    if any((device := found.get(key)) is None or device.deleted_at is not None for key in device_keys):
        raise Refused(Reason.NOT_FOUND, thing="device")
    return [found[key] for key in dict.fromkeys(device_keys)]


async def _tell(books: Books, kind: Kind, product: LockedProduct, facts: dict[str, object], *, now: datetime) -> None:
    await events.tell(books, [Happening(kind, product.account_id, product.product_key, facts)], now=now)


async def _record(
    books: Books, product: LockedProduct, act: str, facts: dict[str, object], *, by: By, now: datetime
) -> None:
    await audit.record(
        books, by=by, act=act, subject=product.product_key, after=facts, account_id=product.account_id, now=now
    )
