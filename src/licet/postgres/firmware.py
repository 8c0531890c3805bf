"""Firmware in the books; the bytes lie elsewhere."""

from datetime import datetime

from licet.firmware import Firmware
from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("firmware")


async def hold_bytes(books: Books, sha256: str) -> None:
    await books.one(_sql.hold_bytes, sha256=bytes.fromhex(sha256))


async def count_with_bytes(books: Books, sha256: str) -> int:
    row = await books.one(_sql.count_with_bytes, sha256=bytes.fromhex(sha256))
    assert row is not None
    return int(row[0])


async def insert_firmware(
    books: Books, account_id: str, name: str, *, size: int, sha256: str, uploaded_by: str, now: datetime
) -> Firmware:
    row = await books.one(
        _sql.insert_firmware,
        account_id=account_id,
        name=name,
        bytes=size,
        sha256=bytes.fromhex(sha256),
        uploaded_by=uploaded_by,
        now=now,
    )
    assert row is not None
    return Firmware(row[0], account_id, name, size, sha256, now, uploaded_by)


async def hold_firmware(books: Books, firmware_id: str) -> Firmware | None:
    row = await books.one(_sql.hold_firmware, id=firmware_id)
    return Firmware(*row) if row else None


async def lock_firmware(books: Books, firmware_id: str) -> Firmware | None:
    row = await books.one(_sql.lock_firmware, id=firmware_id)
    return Firmware(*row) if row else None


async def get(books: Books, firmware_id: str) -> Firmware | None:
    row = await books.one(_sql.get, id=firmware_id)
    return Firmware(*row) if row else None


async def page(
    books: Books, account_id: str | None, *, after: tuple[datetime, str] | None, limit: int
) -> list[Firmware]:
    """Latest first. ``after``: when the last one of the page before was uploaded, and its id."""
    rows = await books.all(
        _sql.page,
        account_id=account_id,
        after_at=after and after[0],
        after_id=after and after[1],
        limit=limit,
    )
    return [Firmware(*row) for row in rows]


async def is_in_use(books: Books, firmware_id: str) -> bool:
    row = await books.one(_sql.is_in_use, id=firmware_id)
    return row is not None and bool(row[0])


async def delete(books: Books, firmware_id: str, *, now: datetime) -> None:
    await books.run(_sql.delete, id=firmware_id, now=now)


async def offered(books: Books, device_id: int) -> Firmware | None:
    row = await books.one(_sql.offered, device_id=device_id)
    return Firmware(*row) if row else None
