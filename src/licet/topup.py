"""Top up: units are bought or given, and pay open bills at once; bills are paid otherwise, too (rules G2, G3, G5)."""

from datetime import date, datetime

from licet.accounts import By
from licet.allowances import Usage
from licet.close import bring_up_to_date, settle_bills
from licet.events import Happening, Kind
from licet.excess import Origin
from licet.postgres import accounts, audit, events, ledger, statements
from licet.postgres.books import Books
from licet.postgres.ledger import Bought, Row
from licet.postgres.usage import let_back_in
from licet.refusals import Reason, Refused
from licet.statements import LedgerType


async def top_up(
    books: Books,
    *,
    account_id: str,
    usage: Usage,
    quantity: int,
    origin: Origin,
    reference: str,
    expires_at: datetime | None = None,
    by: By,
    now: datetime,
) -> Bought:
    """Buy or give a top-up. Under a reference it is bought once: again, for the same, changes nothing.

    1. Hold the account, with its months closed and its expired top-ups gone: this one is not for what was before it.
    2. Write it down, and the row of the ledger.
    3. Pay open bills at once, the oldest first, one ledger row a bill.
    4. If messages are left, devices that were cut off today may come back.

    Raises ``Refused``: not_found, reference_used.
    """
    async with books.transaction() as books:
        if await accounts.get(books, account_id) is None:
            raise Refused(Reason.NOT_FOUND, thing="account")
        await bring_up_to_date(books, account_id, now=now)
        topup_id = await ledger.insert_topup(
            books,
            account_id=account_id,
            usage=usage,
            origin=origin,
            quantity=quantity,
            expires_at=expires_at,
            reference=reference,
            bought_by=by.name,
            now=now,
        )
        if topup_id is not None:
            balance = (await ledger.balances(books, [account_id])).get((account_id, usage), 0) + quantity
            row = Row(account_id, usage, now, LedgerType(origin.value), quantity, balance, reference=reference)
            await ledger.write_down(books, [row])
            await settle_bills(books, [account_id], at=now)
            if usage is Usage.MESSAGES and (await ledger.balances(books, [account_id]))[account_id, usage]:
                await let_back_in(books, account_id, now=now)
            facts = {"topup_id": topup_id, "usage": usage.value, "quantity": quantity, "reference": reference}
            await events.tell(books, [Happening(Kind.TOPPED_UP, account_id, facts=facts)], now=now)
            await audit.record(
                books, by=by, act="topped up", subject=topup_id, after=facts, account_id=account_id, now=now
            )
        bought = await ledger.topup_by_reference(books, account_id, usage, reference)
        assert bought is not None
        if (bought.quantity, bought.origin, bought.expires_at) != (quantity, origin, expires_at):
            raise Refused(Reason.REFERENCE_USED, reference=reference)
        return bought


async def pay(
    books: Books,
    *,
    account_id: str,
    month: date,
    usage: Usage,
    quantity: int,
    reference: str,
    by: By,
    now: datetime,
) -> None:
    """Mark so many units of a bill as paid; all that is owed, or a part. Under a reference it is paid once.

    Raises ``Refused``: not_found, more_than_owed, reference_used.
    """
    async with books.transaction() as books:
        if await accounts.get(books, account_id) is None or not by.sees(account_id):
            raise Refused(Reason.NOT_FOUND, thing="account")
        await bring_up_to_date(books, account_id, now=now)
        if not await statements.page(books, account_id, month=month, limit=1):
            raise Refused(Reason.NOT_FOUND, thing="statement")
        if (paid := await statements.payment(books, account_id, month, usage, reference)) is not None:
            if paid != quantity:
                raise Refused(Reason.REFERENCE_USED, reference=reference)
            return
        open_bills = {(each.month, each.usage): each for each in await statements.owed(books, [account_id])}
        owing = open_bills.get((month, usage))
        if owing is None or owing.owed < quantity:
            raise Refused(Reason.MORE_THAN_OWED, quantity=quantity, owed=owing.owed if owing else 0)
        await statements.insert_payment(books, owing, quantity=quantity, reference=reference, paid_by=by.name, now=now)
        facts = {"month": f"{month:%Y-%m}", "usage": usage.value, "quantity": quantity, "reference": reference}
        await events.tell(books, [Happening(Kind.BILL_PAID, account_id, facts=facts)], now=now)
        await audit.record(
            books, by=by, act="paid", subject=f"{month:%Y-%m}", after=facts, account_id=account_id, now=now
        )
