"""Accounts are opened with their free codes, and changed (rules A8, B4)."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from licet.accounts import Account, By, FreeCodes, Kind, Mode
from licet.events import Happening
from licet.events import Kind as EventKind
from licet.lots import Origin
from licet.postgres import accounts, audit, events, lots, packages
from licet.postgres.books import Books
from licet.refusals import Reason, Refused

_AT_OPENING = "free codes"
_AT_UPGRADE = "free codes: now an enterprise"


async def open_account(
    books: Books,
    *,
    name: str,
    kind: Kind,
    time_zone: str,
    mode: Mode,
    data_center: str,
    free: FreeCodes,
    by: By,
    now: datetime,
) -> Account:
    """A new account, at home in ``data_center``, with the free codes of its kind, unassigned."""
    async with books.transaction() as books:
        account = await accounts.insert_account(
            books, name=name, kind=kind, data_center=data_center, time_zone=time_zone, mode=mode, now=now
        )
        today = now.astimezone(ZoneInfo(time_zone)).date()
        await accounts.set_mode(books, account.id, mode, starts_on=today, set_by=by.name, now=now)
        await _give_free_codes(books, account.id, free.for_kind(kind), _AT_OPENING, free=free, by=by, now=now)
        facts = {"name": name, "kind": kind.value, "time_zone": time_zone, "mode": mode.value}
        await events.tell(books, [Happening(EventKind.ACCOUNT_OPENED, account.id, facts=facts)], now=now)
        await audit.record(
            books, by=by, act="opened account", subject=account.id, after=facts, account_id=account.id, now=now
        )
        return account


async def change_account(
    books: Books,
    account_id: str,
    *,
    name: str | None = None,
    kind: Kind | None = None,
    time_zone: str | None = None,
    mode: Mode | None = None,
    free: FreeCodes,
    by: By,
    now: datetime,
) -> Account:
    """Change what is given. An individual that becomes an enterprise gets the difference in free codes, once.

    Another mode counts from the account's next midnight, so that a day has one (rule E4).

    Raises ``Refused``: not_found; stays_an_enterprise for the way back.
    """
    async with books.transaction() as books:
        before = await accounts.lock(books, account_id)
        if before is None or not by.sees(account_id):
            raise Refused(Reason.NOT_FOUND, thing="account")
        if before.kind is Kind.ENTERPRISE and kind is Kind.INDIVIDUAL:
            raise Refused(Reason.STAYS_AN_ENTERPRISE, account=before.name)
        await accounts.change(books, account_id, name=name, kind=kind, time_zone=time_zone, mode=mode)
        if mode is not None and mode is not before.mode:
            tomorrow = now.astimezone(ZoneInfo(time_zone or before.time_zone)).date() + timedelta(days=1)
            await accounts.set_mode(books, account_id, mode, starts_on=tomorrow, set_by=by.name, now=now)
        if before.kind is Kind.INDIVIDUAL and kind is Kind.ENTERPRISE:
            more = free.enterprise - free.individual
            await _give_free_codes(books, account_id, more, _AT_UPGRADE, free=free, by=by, now=now)
        after = await accounts.get(books, account_id)
        assert after is not None
        if after != before:
            was, became = _facts(before), _facts(after)
            await events.tell(books, [Happening(EventKind.ACCOUNT_CHANGED, account_id, facts=became)], now=now)
            await audit.record(
                books,
                by=by,
                act="changed account",
                subject=account_id,
                before=was,
                after=became,
                account_id=account_id,
                now=now,
            )
        return after


def _facts(account: Account) -> dict[str, object]:
    return {
        "name": account.name,
        "kind": account.kind.value,
        "time_zone": account.time_zone,
        "mode": account.mode.value,
    }


async def _give_free_codes(
    books: Books, account_id: str, quantity: int, reference: str, *, free: FreeCodes, by: By, now: datetime
) -> None:
    """Once per account and occasion: the lot's order reference sees to that."""
    if quantity <= 0:
        return
    name = f"Free codes {free.allowance.term}"
    package = await packages.ensure_package(books, name, free.allowance, now=now)
    lot_id = await lots.insert_lot(
        books,
        account_id=account_id,
        package_id=package.id,
        product_id=None,
        origin=Origin.FREE,
        quantity=quantity,
        order_reference=reference,
        use_by=None,
        credited_by=by.name,
        now=now,
    )
    if lot_id is not None:
        facts = {"lot_id": lot_id, "package": package.name, "quantity": quantity, "order_reference": reference}
        await events.tell(books, [Happening(EventKind.CODES_CREDITED, account_id, facts=facts)], now=now)
