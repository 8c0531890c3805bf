"""Firmware is uploaded, and deleted when no device waits for it. The bytes themselves are put away by the door."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from licet.accounts import By
from licet.firmware import Firmware
from licet.postgres import accounts, audit, firmware
from licet.postgres.books import Books
from licet.refusals import Reason, Refused


async def upload_firmware(
    books: Books,
    account_id: str,
    *,
    name: str,
    size: int,
    sha256: str,
    put: Callable[[], Awaitable[None]],
    by: By,
    now: datetime,
) -> Firmware:
    """A file that has been received becomes a firmware.

    1. Hold its bytes: nobody takes the same file away meanwhile.
    2. ``put`` it in its place. So there may be a file without a firmware, and never a firmware without its file.
    3. Write it down.

    Raises ``Refused``: not_found.
    """
    async with books.transaction() as books:
        if not by.sees(account_id) or await accounts.get(books, account_id) is None:
            raise Refused(Reason.NOT_FOUND, thing="account")
        await firmware.hold_bytes(books, sha256)
        await put()
        uploaded = await firmware.insert_firmware(
            books, account_id, name, size=size, sha256=sha256, uploaded_by=by.name, now=now
        )
        await audit.record(
            books,
            by=by,
            act="uploaded firmware",
            subject=uploaded.id,
            after=_facts(uploaded),
            account_id=account_id,
            now=now,
        )
        return uploaded


async def delete_firmware(
    books: Books, firmware_id: str, *, remove: Callable[[str], Awaitable[None]], by: By, now: datetime
) -> None:
    """Delete a firmware that no device waits for; the upgrades that were made with it stay.

    1. Hold it: nobody offers it or begins to fetch it meanwhile. See that it is not in use, and delete it.
    2. When that is in the books, ``remove`` its file, unless another firmware has the same bytes.

    Raises ``Refused``: not_found, firmware_in_use.
    """
    async with books.transaction() as bound:
        held = await firmware.lock_firmware(bound, firmware_id)
        if held is None or not by.sees(held.account_id):
            raise Refused(Reason.NOT_FOUND, thing="firmware")
        if await firmware.is_in_use(bound, firmware_id):
            raise Refused(Reason.FIRMWARE_IN_USE, name=held.name)
        await firmware.delete(bound, firmware_id, now=now)
        await audit.record(
            bound,
            by=by,
            act="deleted firmware",
            subject=firmware_id,
            before=_facts(held),
            account_id=held.account_id,
            now=now,
        )
    async with books.transaction() as bound:
        await firmware.hold_bytes(bound, held.sha256)
        if not await firmware.count_with_bytes(bound, held.sha256):
            await remove(held.sha256)


def _facts(of: Firmware) -> dict[str, object]:
    return {"name": of.name, "bytes": of.bytes, "sha256": of.sha256}
