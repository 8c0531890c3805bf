"""Upgrade: a product's package changes for all its devices and all its unconsumed codes at once (rule A7)."""

from datetime import datetime

from licet.accounts import By, Scope
from licet.assign import settle_one
from licet.events import Happening, Kind
from licet.packages import upgrade_takes_effect_at
from licet.postgres import accounts, audit, events, packages, products
from licet.postgres.books import Books
from licet.products import Product
from licet.refusals import Reason, Refused


async def upgrade(
    books: Books, product_key: str, *, package_id: str, force: bool = False, by: By, now: datetime
) -> Product:
    """Give a product another package: only upwards on every figure, unless an operator forces it.

    1. Hold the product, with its renewals settled: those were still of the old term.
    2. See that nobody loses by it.
    3. Set the package: codes consumed from now on have its term; spans that run keep their end; its messages and OTA
       upgrades count from the account's next midnight.

    Raises ``Refused``: not_found, no_package_yet, not_an_upgrade, not_permitted.
    """
    if force and not by.may(Scope.OPERATE):
        raise Refused(Reason.NOT_PERMITTED, who=by.name, scope=Scope.OPERATE.value)
    async with books.transaction() as books:
        product = await settle_one(books, product_key, by=by, now=now)
        offered = await packages.get(books, package_id)
        if offered is None:
            raise Refused(Reason.NOT_FOUND, thing="package")
        current = await packages.get(books, product.package_id) if product.package_id is not None else None
        if current is None:
            raise Refused(Reason.NO_PACKAGE_YET, product=product.name)
        if not force and not offered.allowance.covers(current.allowance):
            raise Refused(
                Reason.NOT_AN_UPGRADE, current=current.allowance.in_words(), offered=offered.allowance.in_words()
            )
        account = await accounts.get(books, product.account_id)
        assert account is not None
        if offered.id != current.id:
            counts_from = upgrade_takes_effect_at(now, account.time_zone)
            await products.set_package(books, product.id, offered.id)
            await products.record_package(
                books, product.id, offered.id, counts_from=counts_from, set_by=by.name, now=now
            )
            facts = {"from": current.name, "to": offered.name, "counts_from": counts_from, "forced": force}
            happening = Happening(Kind.PRODUCT_UPGRADED, product.account_id, product_key, facts)
            await events.tell(books, [happening], now=now)
            await audit.record(
                books,
                by=by,
                act="upgraded",
                subject=product_key,
                before={"package": current.name},
                after={"package": offered.name, "counts_from": counts_from.isoformat(), "forced": force},
                account_id=product.account_id,
                now=now,
            )
        upgraded = await products.get(books, product_key, now=now)
        assert upgraded is not None
        return upgraded
