"""An upgrade is reserved, then completed or failed: once, whoever says so how often (rules F1 to F3)."""

from collections.abc import Mapping
from datetime import datetime

from licet.accounts import By, Mode
from licet.allowances import attempts_in
from licet.events import Happening, Kind
from licet.firmware import Upgrade, UpgradeState
from licet.late import hold_late, slot_of
from licet.postgres import audit, events, firmware, ota, statements
from licet.postgres.books import Books
from licet.postgres.ota import HeldDevice
from licet.refusals import Reason, Refused


async def reserve(
    books: Books,
    product_key: str,
    device_key: str,
    *,
    bytes: int,  # noqa: A002 - the trade's own word
    firmware_id: str | None = None,
    by: By,
    now: datetime,
) -> Upgrade:
    """Hold the attempts that an upgrade of so many bytes will cost.

    1. Hold the device, so that upgrades which start at once are looked at one after the other.
    2. Where the account blocks, all attempts must be covered by what is left of the month's allowance.
    3. Take up what a campaign has offered of this firmware, or write a new upgrade.

    Raises ``Refused``: not_found, ota_used_up; ota_ended when the offer is withdrawn at this very moment.
    """
    async with books.transaction() as books:
        device = await ota.lock_device(books, product_key, device_key)
        if device is None or not by.sees(device.account_id):
            raise Refused(Reason.NOT_FOUND, thing="device")
        if firmware_id is not None:
            held = await firmware.hold_firmware(books, firmware_id)
            if held is None or held.account_id != device.account_id:
                raise Refused(Reason.NOT_FOUND, thing="firmware")
        upgrade_id = await begin(books, device, bytes=bytes, firmware_id=firmware_id, now=now)
        upgrade = await ota.get(books, upgrade_id, now=now)
        assert upgrade is not None
        await _record(books, "reserved an upgrade", upgrade, None, by=by, now=now)
        return upgrade


async def begin(
    books: Books,
    device: HeldDevice,
    *,
    bytes: int,  # noqa: A002
    firmware_id: str | None,
    now: datetime,
) -> str:
    """Steps 2 and 3 of ``reserve``, for a device that is held. A virtual device is never refused for its allowance."""
    attempts = attempts_in(bytes)
    stands = await ota.standing(books, device.id, now=now)
    if stands.mode is Mode.BLOCK and not device.virtual and attempts > stands.left:
        raise Refused(Reason.OTA_USED_UP, attempts=attempts, device_key=device.device_key, left=stands.left)
    if firmware_id is not None:
        latest = await ota.latest(books, device.id, firmware_id)
        if latest is not None and latest.state is UpgradeState.OFFERED:
            if not await ota.take_up(
                books, latest.upgrade_id, bytes=bytes, attempts=attempts, month_on=stands.month_on, now=now
            ):
                raise Refused(Reason.OTA_ENDED, state=UpgradeState.WITHDRAWN.value)  # at this very moment
            return latest.upgrade_id
    return await ota.insert_reserved(
        books, device, firmware_id=firmware_id, bytes=bytes, attempts=attempts, month_on=stands.month_on, now=now
    )


async def complete(
    books: Books,
    upgrade_id: str,
    *,
    bytes: int,  # noqa: A002
    by: By,
    now: datetime,
) -> Upgrade:
    """The upgrade is charged, by the bytes that it came to. Saying so again changes nothing.

    Raises ``Refused``: not_found; ota_ended when it has ended otherwise, or with other bytes.
    """
    return await _end(books, upgrade_id, UpgradeState.COMPLETED, bytes, by=by, now=now)


async def fail(
    books: Books,
    upgrade_id: str,
    *,
    bytes: int | None = None,  # noqa: A002
    by: By,
    now: datetime,
) -> Upgrade:
    """The upgrade costs nothing: its attempts are released. Saying so again changes nothing.

    Raises ``Refused``: not_found, ota_ended.
    """
    return await _end(books, upgrade_id, UpgradeState.FAILED, bytes, by=by, now=now)


async def _end(
    books: Books,
    upgrade_id: str,
    state: UpgradeState,
    size: int | None,
    *,
    by: By,
    now: datetime,
) -> Upgrade:
    async with books.transaction() as books:
        before = await ota.get(books, upgrade_id, now=now)
        if before is None or not by.sees(before.account_id):
            raise Refused(Reason.NOT_FOUND, thing="upgrade")
        attempts = attempts_in(size) if size is not None and state is UpgradeState.COMPLETED else None
        ended = await end(books, before, state, size=size, attempts=attempts, now=now)
        after = await ota.get(books, upgrade_id, now=now)
        assert after is not None
        if ended:
            await tell_end(books, after, now=now)
            act = f"{state.value} an upgrade"
            await _record(books, act, after, {"state": before.state.value, "bytes": before.bytes}, by=by, now=now)
        elif after.state is not state or size not in (None, after.bytes):
            raise Refused(Reason.OTA_ENDED, state=after.state.value)
        return after


async def end(
    books: Books, upgrade: Upgrade, state: UpgradeState, *, size: int | None, attempts: int | None, now: datetime
) -> bool:
    """It has ended, unless it had already. It counts in the month it was reserved in, also when that one is closed."""
    reserved = [] if upgrade.reserved_at is None else [(upgrade.product_key, slot_of(upgrade.reserved_at))]
    late = await hold_late(books, reserved, now=now)
    ended = await ota.end_upgrade(books, upgrade.id, state, bytes=size, attempts=attempts, now=now)
    if ended and late and state is UpgradeState.COMPLETED:
        await statements.note_late(books, late)
    return ended


async def tell_end(books: Books, ended: Upgrade, *, now: datetime) -> None:
    """An upgrade was completed, or failed."""
    facts: dict[str, object] = {"ids": [ended.id], "device_keys": [ended.device_key]}
    kind = Kind.OTA_FAILED
    if ended.state is UpgradeState.COMPLETED:
        kind, facts = Kind.OTA_COMPLETED, facts | {"attempts": [ended.attempts]}
    await events.tell(books, [Happening(kind, ended.account_id, ended.product_key, facts)], now=now)


async def _record(
    books: Books, act: str, upgrade: Upgrade, before: Mapping[str, object] | None, *, by: By, now: datetime
) -> None:
    await audit.record(
        books,
        by=by,
        act=act,
        subject=upgrade.id,
        before=None if before is None else dict(before),
        after={
            "product_key": upgrade.product_key,
            "device_key": upgrade.device_key,
            "state": upgrade.state.value,
            "bytes": upgrade.bytes,
            "attempts": upgrade.attempts,
        },
        account_id=upgrade.account_id,
        now=now,
    )
