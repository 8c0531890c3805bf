"""Mint: packages are defined, and codes come into being: a purchase is credited (rules A3, A9)."""

from datetime import datetime

from licet.accounts import By
from licet.assign import fitting_package, give, settle_one
from licet.events import Happening, Kind
from licet.lots import Lot, Origin
from licet.packages import Allowance, Package
from licet.postgres import accounts, audit, events, lots, packages
from licet.postgres.books import Books
from licet.refusals import Reason, Refused


async def define_package(books: Books, *, name: str, allowance: Allowance, by: By, now: datetime) -> Package:
    """A new package. Raises ``Refused`` (name_taken)."""
    async with books.transaction(thing="package", name=name) as books:
        package = await packages.insert_package(books, name, allowance, now=now)
        facts = {"package_id": package.id, "name": name, "allowance": allowance.in_words()}
        await events.tell(books, [Happening(Kind.PACKAGE_DEFINED, facts=facts)], now=now)
        await audit.record(
            books, by=by, act="defined package", subject=package.id, before=None, after=facts, account_id=None, now=now
        )
        return package


async def credit(
    books: Books,
    *,
    account_id: str,
    product_key: str | None,
    package_id: str,
    quantity: int,
    order_reference: str,
    use_by: datetime | None = None,
    by: By,
    now: datetime,
) -> Lot:
    """Credit a purchase. With a product key its codes go straight to that product; without one they are unassigned.

    Crediting an order again, for the same codes, returns the same lot and changes nothing.

    1. Hold the product, if one is named, with its renewals settled; see that the package fits it.
    2. Write the lot, unless the order was credited before.
    3. Assign it whole to the product. Tell.

    Raises ``Refused``: not_found, allowance_differs, order_already_credited.
    """
    asked = (package_id, quantity, product_key, use_by)
    async with books.transaction(order_reference=order_reference) as books:
        if await accounts.get(books, account_id) is None:
            raise Refused(Reason.NOT_FOUND, thing="account")
        product = await settle_one(books, product_key, by=by, now=now) if product_key is not None else None
        if product is not None and product.account_id != account_id:
            raise Refused(Reason.NOT_FOUND, thing="product")
        if (credited := await lots.by_order(books, account_id, order_reference)) is not None:
            return _the_same(credited, asked)
        package = await packages.get(books, package_id)
        if package is None:
            raise Refused(Reason.NOT_FOUND, thing="package")
        if product is not None:
            await fitting_package(books, product, package_id)
        lot_id = await lots.insert_lot(
            books,
            account_id=account_id,
            package_id=package_id,
            product_id=product.id if product is not None else None,
            origin=Origin.PURCHASE,
            quantity=quantity,
            order_reference=order_reference,
            use_by=use_by,
            credited_by=by.name,
            now=now,
        )
        if lot_id is not None:  # or somebody was first
            await _tell(books, lot_id, account_id, product_key, package, quantity, order_reference, by=by, now=now)
            if product is not None:
                await give(books, product, package, [(lot_id, quantity)], by=by, now=now)
        credited = await lots.by_order(books, account_id, order_reference)
        assert credited is not None
        return _the_same(credited, asked)


async def _tell(
    books: Books,
    lot_id: str,
    account_id: str,
    product_key: str | None,
    package: Package,
    quantity: int,
    order_reference: str,
    *,
    by: By,
    now: datetime,
) -> None:
    facts = {"lot_id": lot_id, "package": package.name, "quantity": quantity, "order_reference": order_reference}
    await events.tell(books, [Happening(Kind.CODES_CREDITED, account_id, product_key, facts)], now=now)
    await audit.record(
        books, by=by, act="credited", subject=lot_id, before=None, after=facts, account_id=account_id, now=now
    )


def _the_same(credited: Lot, asked: tuple[str, int, str | None, datetime | None]) -> Lot:
    if (credited.package_id, credited.quantity, credited.product_key, credited.use_by) != asked:
        raise Refused(Reason.ORDER_CREDITED, order_reference=credited.order_reference)
    return credited
