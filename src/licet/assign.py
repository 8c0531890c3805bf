"""Assign: unassigned codes of one package go to one product, for good (rules A6, A10)."""

from collections.abc import Sequence
from datetime import datetime

from licet.accounts import By
from licet.events import Happening, Kind
from licet.lots import Assignment
from licet.packages import Package
from licet.postgres import audit, events, lots, packages, products
from licet.postgres.books import Books
from licet.products import LockedProduct
from licet.refusals import Reason, Refused
from licet.renew import settle


async def assign(
    books: Books, *, product_key: str, package_id: str, quantity: int, by: By, now: datetime
) -> Assignment:
    """Assign ``quantity`` unassigned codes of a package to a product of the same account, all or none.

    1. Hold the product, with its renewals settled: these codes are not for what was due before.
    2. See that the package's allowance is the product's, if it has one.
    3. Hold the account's lots of that package and take from those whose codes would be lost first, then the oldest.
    4. Number the codes, remember the assignment, tell.

    Raises ``Refused``: not_found, allowance_differs, too_few_unassigned.
    """
    async with books.transaction() as books:
        product = await settle_one(books, product_key, by=by, now=now)
        package = await fitting_package(books, product, package_id)
        free = await lots.lock_unassigned(books, product.account_id, package_id, now=now)
        maximum = sum(unassigned for _, unassigned, _, _ in free)
        if quantity > maximum:
            raise Refused(Reason.TOO_FEW_UNASSIGNED, quantity=quantity, maximum=maximum)
        shares, wanted = [], quantity
        for lot_id, unassigned, *_ in sorted(free, key=lambda lot: (lot[2] is None, lot[2] or now, lot[3], lot[0])):
            if share := min(wanted, unassigned):
                shares.append((lot_id, share))
                wanted -= share
        return await give(books, product, package, shares, by=by, now=now)


async def maximum(books: Books, *, product_key: str, package_id: str, by: By, now: datetime) -> int:
    """The most that ``assign`` would assign now. Raises ``Refused`` as it does: not_found, allowance_differs."""
    product = await products.get(books, product_key, now=now)
    package = await packages.get(books, package_id)
    if product is None or not by.sees(product.account_id):
        raise Refused(Reason.NOT_FOUND, thing="product")
    if package is None:
        raise Refused(Reason.NOT_FOUND, thing="package")
    _see_that_it_fits(product.name, product.package, package)
    unassigned = await lots.unassigned(books, product.account_id, now=now)
    return sum(quantity for offered, quantity in unassigned if offered.id == package_id)


async def settle_one(books: Books, product_key: str, *, by: By, now: datetime) -> LockedProduct:
    """Hold one product, by its key, with its renewals settled. Another account's does not exist."""
    product_id = (await products.identify(books, [product_key])).get(product_key)
    locked = await settle(books, [product_id], now=now) if product_id is not None else []
    if not locked or not by.sees(locked[0].account_id):
        raise Refused(Reason.NOT_FOUND, thing="product")
    return locked[0]


async def fitting_package(books: Books, product: LockedProduct, package_id: str) -> Package:
    """The package, when codes of it may go to this product (rule A6)."""
    package = await packages.get(books, package_id)
    if package is None:
        raise Refused(Reason.NOT_FOUND, thing="package")
    current = await packages.get(books, product.package_id) if product.package_id is not None else None
    _see_that_it_fits(product.name, current, package)
    return package


def _see_that_it_fits(product: str, current: Package | None, offered: Package) -> None:
    if current is not None and current.allowance != offered.allowance:
        raise Refused(
            Reason.ALLOWANCE_DIFFERS,
            product=product,
            current=current.allowance.in_words(),
            offered=offered.allowance.in_words(),
        )


async def give(
    books: Books,
    product: LockedProduct,
    package: Package,
    shares: Sequence[tuple[str, int]],
    *,
    by: By,
    now: datetime,
) -> Assignment:
    """Give a held product these shares of lots (lot id, how many): numbered, remembered and told."""
    quantity = sum(share for _, share in shares)
    if product.package_id is None:
        await products.set_package(books, product.id, package.id)
        await products.record_package(books, product.id, package.id, counts_from=now, set_by=by.name, now=now)
    assignment_id = await lots.insert_assignment(
        books,
        account_id=product.account_id,
        product_id=product.id,
        package_id=package.id,
        quantity=quantity,
        assigned_by=by.name,
        now=now,
    )
    await lots.assign_from(books, shares)
    await lots.number_codes(books, product.id, assignment_id, shares)
    facts = {"assignment_id": assignment_id, "package": package.name, "quantity": quantity}
    await events.tell(books, [Happening(Kind.CODES_ASSIGNED, product.account_id, product.product_key, facts)], now=now)
    await audit.record(
        books,
        by=by,
        act="assigned",
        subject=product.product_key,
        before=None,
        after=facts,
        account_id=product.account_id,
        now=now,
    )
    return Assignment(
        assignment_id, product.account_id, product.product_key, product.name, package, quantity, now, by.name
    )
