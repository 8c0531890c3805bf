"""Send: a message to a device is written down, and from then on it is on its way.

It waits in the books until the broker has it, so that no crash between the two loses it, and a request that is repeated
under the same Idempotency-Key sends nothing twice. From the broker's stream it is counted and stored like any other.
"""

from datetime import datetime

from licet.accounts import By
from licet.allowances import used_up
from licet.messages import Downlink
from licet.postgres import audit, devices, downlinks, products
from licet.postgres.books import Books
from licet.refusals import Reason, Refused


async def send(
    books: Books, product_key: str, device_key: str, *, topic: str, payload: bytes, by: By, now: datetime
) -> Downlink:
    """Send a device something.

    1. See that there is such a device, and that it is not cut off: it could not hear it before its day ends (rule E4).
    2. Write the message down, for the broker's room to send; and who sent it, not what.

    Raises ``Refused``: not_found, allowance_used_up.
    """
    async with books.transaction() as books:
        product = await products.get(books, product_key, now=now)
        if product is None or not by.sees(product.account_id):
            raise Refused(Reason.NOT_FOUND, thing="product")
        device = await devices.get(books, product_key, device_key, now=now)
        if device is None:
            raise Refused(Reason.NOT_FOUND, thing="device")
        if (until := await downlinks.cut_off_until(books, device.id, now=now)) is not None:
            raise used_up(device_key, until)
        sent = await downlinks.insert(
            books, product_id=product.id, device_id=device.id, topic=topic, payload=payload, asked_by=by.name, now=now
        )
        await audit.record(
            books,
            by=by,
            act="sent",
            subject=f"{product_key}/{device_key}",
            before=None,
            after={"message_id": sent.id, "topic": topic, "bytes": sent.bytes},
            account_id=product.account_id,
            now=now,
        )
        return sent
