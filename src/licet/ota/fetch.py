"""A device fetches its firmware from licet, with its own credential, in as many parts as it takes.

The first byte reserves the upgrade, or takes up what was offered. A transfer that broke off stays reserved: the device
goes on where it stopped. When the last byte of the file was sent, the upgrade is complete.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime

from licet.firmware import Firmware, UpgradeState
from licet.ota.upgrades import begin, end, tell_end
from licet.postgres import devices, firmware, ota
from licet.postgres.books import Books
from licet.products import Knock
from licet.refusals import Reason, Refused
from licet.renew import settle


@dataclass(frozen=True, slots=True)
class Fetch:
    """What a device fetches, and the upgrade that it counts for."""

    upgrade_id: str
    firmware: Firmware


async def recognise(books: Books, knock: Knock, *, now: datetime) -> int:
    """The id of the device that shows this secret, if it is active, or virtual. No code is consumed for it.

    A stranger costs as much time as a device with a wrong secret, and is told the same. A renewal that is due comes
    first, so that nobody depends on a sweep.

    Raises ``Refused``: not_authorized, device_inactive.
    """
    (known,) = await devices.look_up(books, [knock], now=now)
    sealed, about = known.sealed_secret, f"{knock.product_key}/{knock.device_key}"
    secret = books.keyring.open(sealed, about) if sealed is not None else books.keyring.open_nothing()
    if not hmac.compare_digest(secret.encode(), knock.secret.encode()) or known.device_id is None:
        raise Refused(Reason.NOT_AUTHORIZED)
    if not known.virtual and known.product_id is not None and known.ends_at is not None and known.ends_at <= now:
        async with books.transaction() as bound:
            await settle(bound, [known.product_id], now=now)
        (known,) = await devices.look_up(books, [knock], now=now)
    if known.device_id is None or not (known.virtual or (known.ends_at is not None and now < known.ends_at)):
        raise Refused(Reason.DEVICE_INACTIVE, device_key=knock.device_key)
    return known.device_id


async def offer_to(books: Books, device_id: int) -> Firmware:
    """What a device is to fetch. Raises ``Refused`` (not_found) when nothing is offered to it."""
    offered = await firmware.offered(books, device_id)
    if offered is None:
        raise Refused(Reason.NOT_FOUND, thing="offer")
    return offered


async def begin_fetch(
    books: Books, product_key: str, device_key: str, wanted: Firmware, *, first: int, now: datetime
) -> Fetch:
    """A device that was recognised fetches a firmware of its own account, from byte ``first`` on.

    1. Hold the device.
    2. Go on with the transfer that is under way, or that has just ended and of which a part is asked for again.
    3. Else hold the firmware, which might be deleted just now, and begin an upgrade as ``reserve`` does: where the
       account blocks, it is covered before the first byte is sent.

    Raises ``Refused``: not_found, ota_used_up; ota_ended when the offer was withdrawn.
    """
    async with books.transaction() as books:
        device = await ota.lock_device(books, product_key, device_key)
        if device is None or wanted.account_id != device.account_id:
            raise Refused(Reason.NOT_FOUND, thing="firmware")
        latest = await ota.latest(books, device.id, wanted.id)
        if latest is not None and latest.goes_on(wanted.bytes, first, now):
            return Fetch(latest.upgrade_id, wanted)
        if latest is not None and latest.state is UpgradeState.WITHDRAWN:
            raise Refused(Reason.OTA_ENDED, state=latest.state.value)
        if await firmware.hold_firmware(books, wanted.id) is None:
            raise Refused(Reason.NOT_FOUND, thing="firmware")
        upgrade_id = await begin(books, device, bytes=wanted.bytes, firmware_id=wanted.id, now=now)
        return Fetch(upgrade_id, wanted)


async def was_sent(books: Books, fetch: Fetch, sent: int, *, last: bool, now: datetime) -> None:
    """So many more bytes are sent; with the last byte of the file the upgrade is complete, unless it has ended."""
    async with books.transaction() as books:
        await ota.add_sent(books, fetch.upgrade_id, sent, now=now)
        if not last:
            return
        under_way = await ota.get(books, fetch.upgrade_id, now=now)
        assert under_way is not None
        size = fetch.firmware.bytes
        if await end(books, under_way, UpgradeState.COMPLETED, size=size, attempts=None, now=now):
            completed = await ota.get(books, fetch.upgrade_id, now=now)
            assert completed is not None
            await tell_end(books, completed, now=now)
