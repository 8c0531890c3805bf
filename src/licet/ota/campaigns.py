"""A campaign offers a firmware to many devices at once, and may be stopped."""

import json
from collections.abc import Sequence
from datetime import datetime

from licet.accounts import By
from licet.allowances import attempts_in
from licet.assign import settle_one
from licet.events import Happening, Kind
from licet.firmware import Campaign
from licet.postgres import audit, campaigns, events, firmware
from licet.postgres.books import Books
from licet.refusals import Reason, Refused

TOPIC = "sys/ota"  # behind down/PK/DK/: the platform's own, and not counted


async def start_campaign(
    books: Books,
    product_key: str,
    *,
    firmware_id: str,
    device_keys: Sequence[str] | None,
    url: str,
    by: By,
    now: datetime,
) -> Campaign:
    """Offer a firmware to these devices of a product, or (None) to all that it has now. Nothing is held by an offer.

    1. Hold the product and the firmware.
    2. Write an offer for each device, and a message to it: what there is to fetch, and where (``url``).
    3. Tell.

    Raises ``Refused``: not_found.
    """
    async with books.transaction() as books:
        product = await settle_one(books, product_key, by=by, now=now)
        held = await firmware.hold_firmware(books, firmware_id)
        if held is None or held.account_id != product.account_id:
            raise Refused(Reason.NOT_FOUND, thing="firmware")
        campaign_id = await campaigns.insert_campaign(books, product.id, firmware_id, started_by=by.name, now=now)
        offered = await campaigns.offer(
            books, campaign_id, product.id, held, attempts=attempts_in(held.bytes), device_keys=device_keys, now=now
        )
        if device_keys is not None and len(offered) < len(set(device_keys)):
            raise Refused(Reason.NOT_FOUND, thing="device")
        if offered:
            facts: dict[str, object] = {
                "campaign_id": campaign_id,
                "firmware_id": firmware_id,
                "url": url,
                "bytes": held.bytes,
                "sha256": held.sha256,
            }
            payload = json.dumps(facts).encode()
            await campaigns.tell(books, campaign_id, topic=TOPIC, payload=payload, asked_by=by.name, now=now)
            facts |= {"device_keys": offered}
            happening = Happening(Kind.OTA_OFFERED, product.account_id, product_key, facts)
            await events.tell(books, [happening], now=now)
        after = {"product_key": product_key, "firmware": held.name, "devices": len(offered)}
        await audit.record(
            books,
            by=by,
            act="started campaign",
            subject=campaign_id,
            after=after,
            account_id=product.account_id,
            now=now,
        )
        started = await campaigns.get(books, campaign_id)
        assert started is not None
        return started


async def stop_campaign(books: Books, campaign_id: str, *, by: By, now: datetime) -> Campaign:
    """Withdraw what is only offered. What is under way goes on; stopping again changes nothing.

    Raises ``Refused``: not_found.
    """
    async with books.transaction() as books:
        before = await campaigns.get(books, campaign_id)
        if before is None or not by.sees(before.account_id):
            raise Refused(Reason.NOT_FOUND, thing="campaign")
        if await campaigns.stop(books, campaign_id, now=now):
            withdrawn = await campaigns.withdraw(books, campaign_id, now=now)
            await audit.record(
                books,
                by=by,
                act="stopped campaign",
                subject=campaign_id,
                after={"withdrawn": withdrawn},
                account_id=before.account_id,
                now=now,
            )
        after = await campaigns.get(books, campaign_id)
        assert after is not None
        return after
