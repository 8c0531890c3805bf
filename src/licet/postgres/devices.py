"""Devices in the books."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from licet.lifecycle import DeviceState
from licet.postgres.books import Books
from licet.postgres.queries import queries
from licet.products import Device, Knock, SecretOrigin

_sql = queries("devices")

_LONG_AGO = datetime(1, 1, 2, tzinfo=UTC)


class Known(NamedTuple):
    """What the books know about one who knocks; None where there is no such product or device."""

    product_id: int | None
    product_name: str | None
    auto_renewal: bool | None
    device_id: int | None
    sealed_secret: bytes | None
    virtual: bool | None
    ends_at: datetime | None
    listed: bool
    cut_off_until: datetime | None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A device's secret, sealed, who made it, and whether it is the product's virtual device that will use it."""

    sealed: bytes
    origin: SecretOrigin
    virtual: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A device whose row this transaction holds. A deleted one has no secret."""

    id: int
    device_key: str
    sealed_secret: bytes | None
    secret_origin: SecretOrigin | None
    virtual: bool
    deleted_at: datetime | None


async def look_up(books: Books, knocks: Sequence[Knock], *, now: datetime) -> list[Known]:
    rows = await books.all(
        _sql.look_up,
        product_keys=[knock.product_key for knock in knocks],
        device_keys=[knock.device_key for knock in knocks],
        now=now,
    )
    return [Known._make(row) for row in rows]


async def insert_devices(
    books: Books, product_id: int, new: Sequence[tuple[str, NewSecret]], *, now: datetime
) -> dict[str, int]:
    """``new``: (device key, its secret). Returns key → id of those that were new."""
    rows = await books.all(
        _sql.insert_devices,
        product_id=product_id,
        device_keys=[device_key for device_key, _ in new],
        sealed_secrets=[secret.sealed for _, secret in new],
        origins=[secret.origin for _, secret in new],
        virtuals=[secret.virtual for _, secret in new],
        now=now,
    )
    return {row[1]: row[0] for row in rows}


async def lock_devices(books: Books, product_id: int, device_keys: Sequence[str]) -> dict[str, Held]:
    rows = await books.all(_sql.lock_devices, product_id=product_id, device_keys=list(device_keys))
    return {
        row[1]: Held(row[0], row[1], row[2], SecretOrigin(row[3]) if row[3] else None, row[4], row[5]) for row in rows
    }


async def set_secrets(books: Books, secrets: Sequence[tuple[int, NewSecret]]) -> None:
    """``secrets``: (device id, its new secret)."""
    await books.run(
        _sql.set_secrets,
        ids=[device_id for device_id, _ in secrets],
        sealed_secrets=[secret.sealed for _, secret in secrets],
        origins=[secret.origin for _, secret in secrets],
        virtuals=[secret.virtual for _, secret in secrets],
    )


async def delete(books: Books, ids: Sequence[int], *, now: datetime) -> None:
    await books.run(_sql.delete, ids=list(ids), now=now)


async def spend_nonce(books: Books, device_id: int, nonce: str, *, now: datetime) -> None:
    await books.run(_sql.spend_nonce, device_id=device_id, nonce=nonce, now=now)


async def stop_renewing(books: Books, ids: Sequence[int], *, now: datetime) -> int:
    return await books.run(_sql.stop_renewing, ids=list(ids), now=now)


async def resume_renewing(books: Books, ids: Sequence[int]) -> int:
    return await books.run(_sql.resume_renewing, ids=list(ids))


async def not_renewing(books: Books, product_id: int, *, after: str = "", limit: int) -> list[tuple[str, datetime]]:
    """(device key, since when). ``after``: the key of the last device of the page before."""
    rows = await books.all(_sql.not_renewing, product_id=product_id, after=after, limit=limit)
    return [(row[0], row[1]) for row in rows]


def _device(row: tuple[Any, ...], now: datetime) -> Device:
    device_id, product_key, product_name, device_key, virtual, enrolled_at, auto_renewal, listed, *span = row
    ordinal, starts_at, ends_at = span
    active = virtual or (ends_at is not None and now < ends_at)
    return Device(
        id=device_id,
        product_key=product_key,
        product_name=product_name,
        device_key=device_key,
        virtual=virtual,
        renews=auto_renewal and not listed,
        state=DeviceState.ACTIVE if active else DeviceState.INACTIVE,
        codes_consumed=ordinal or 0,
        activated_at=starts_at,
        expires_at=ends_at,
        enrolled_at=enrolled_at,
    )


async def get(books: Books, product_key: str, device_key: str, *, now: datetime) -> Device | None:
    row = await books.one(_sql.get, product_key=product_key, device_key=device_key)
    return _device(row, now) if row else None


async def page(
    books: Books,
    account_id: str | None,
    *,
    product_key: str | None = None,
    device_key: str | None = None,
    state: DeviceState | None = None,
    activated_from: datetime | None = None,
    activated_to: datetime | None = None,
    expires_from: datetime | None = None,
    expires_to: datetime | None = None,
    after: tuple[int, str] = (0, ""),
    limit: int,
    now: datetime,
) -> list[Device]:
    """By product and key.

    ``device_key``: how it begins. ``after``: product id and key of the last device of the page before.
    """
    rows = await books.all(
        _sql.page,
        account_id=account_id,
        product_key=product_key,
        device_key=device_key,
        active=None if state is None else state is DeviceState.ACTIVE,
        activated_from=activated_from,
        activated_to=activated_to,
        expires_from=expires_from,
        expires_to=expires_to,
        after_product=after[0],
        after_key=after[1],
        limit=limit,
        now=now,
    )
    return [_device(row, now) for row in rows]


async def by_expiry(
    books: Books,
    account_id: str | None,
    *,
    expires_from: datetime,
    expires_to: datetime,
    product_key: str | None = None,
    device_key: str | None = None,
    activated_from: datetime | None = None,
    activated_to: datetime | None = None,
    after: tuple[datetime, int] = (_LONG_AGO, 0),
    limit: int,
    now: datetime,
) -> list[Device]:
    """Soonest first. ``after``: expiry and id of the last device of the page before."""
    rows = await books.all(
        _sql.by_expiry,
        account_id=account_id,
        expires_from=expires_from,
        expires_to=expires_to,
        product_key=product_key,
        device_key=device_key,
        activated_from=activated_from,
        activated_to=activated_to,
        after_ends_at=after[0],
        after_id=after[1],
        limit=limit,
    )
    return [_device(row, now) for row in rows]
