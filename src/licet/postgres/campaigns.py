"""Campaigns in the books."""

from collections.abc import Sequence
from datetime import datetime

from licet.firmware import Campaign, Firmware, UpgradeState
from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("campaigns")


async def insert_campaign(books: Books, product_id: int, firmware_id: str, *, started_by: str, now: datetime) -> str:
    row = await books.one(
        _sql.insert_campaign, product_id=product_id, firmware_id=firmware_id, started_by=started_by, now=now
    )
    assert row is not None
    return str(row[0])


async def offer(
    books: Books,
    campaign_id: str,
    product_id: int,
    firmware: Firmware,
    *,
    attempts: int,
    device_keys: Sequence[str] | None,
    now: datetime,
) -> list[str]:
    """``device_keys``: None for all that the product has."""
    rows = await books.all(
        _sql.offer,
        campaign_id=campaign_id,
        product_id=product_id,
        firmware_id=firmware.id,
        bytes=firmware.bytes,
        attempts=attempts,
        device_keys=None if device_keys is None else list(device_keys),
        now=now,
    )
    return [row[0] for row in rows]


async def tell(books: Books, campaign_id: str, *, topic: str, payload: bytes, asked_by: str, now: datetime) -> None:
    await books.run(_sql.tell, campaign_id=campaign_id, topic=topic, payload=payload, asked_by=asked_by, now=now)


async def stop(books: Books, campaign_id: str, *, now: datetime) -> bool:
    return await books.run(_sql.stop, id=campaign_id, now=now) == 1


async def withdraw(books: Books, campaign_id: str, *, now: datetime) -> int:
    return await books.run(_sql.withdraw, id=campaign_id, now=now)


async def page(
    books: Books,
    account_id: str | None,
    *,
    id: str | None = None,  # noqa: A002
    product_key: str | None = None,
    after: tuple[datetime, str] | None = None,
    limit: int,
) -> list[Campaign]:
    """Latest first. ``after``: when the last one of the page before was started, and its id."""
    rows = await books.all(
        _sql.page,
        account_id=account_id,
        id=id,
        product_key=product_key,
        after_at=after and after[0],
        after_id=after and after[1],
        limit=limit,
    )
    return [
        Campaign(row[0], row[1], row[2], row[3], row[4], row[5], row[6], dict(zip(UpgradeState, row[7:], strict=True)))
        for row in rows
    ]


async def get(books: Books, campaign_id: str) -> Campaign | None:
    found = await page(books, None, id=campaign_id, limit=1)
    return found[0] if found else None
