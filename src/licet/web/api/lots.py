"""Lots: purchases that an operator credits, and free codes; and what of them is still unassigned."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from licet import mint
from licet.lots import Lot, Origin
from licet.postgres import lots
from licet.postgres.books import Books
from licet.web.fields import Asked, At, Id, Instant, Name, ProductKey, Quantity, Told
from licet.web.once import once
from licet.web.paging import Page, Paged, page, place_of
from licet.web.session import OperatingOnce, Reading

router = APIRouter(tags=["lots"])


class LotAsked(Asked):
    """With a product key the codes go straight to that product; without one they are unassigned until assigned."""

    account_id: Id
    product_key: ProductKey | None = None
    package_id: Id
    quantity: Quantity
    order_reference: Name
    use_by: Annotated[Instant | None, Field(description="Codes that no device consumed by then are gone.")] = None


class LotTold(Told):
    id: str
    account_id: str
    product_key: str | None
    package_id: str
    origin: Origin
    quantity: int
    assigned: int
    order_reference: str
    use_by: At | None
    credited_at: At


class LotsAsked(Paged):
    account_id: Id | None = None


@router.post("/v1/lots", status_code=201, response_model=LotTold)
async def credit_lot(asked: LotAsked, ask: OperatingOnce) -> Response:
    """Credit a purchase. The same order again, for the same codes, is the same lot."""

    async def work(books: Books) -> LotTold:
        credited = await mint.credit(
            books,
            account_id=asked.account_id,
            product_key=asked.product_key,
            package_id=asked.package_id,
            quantity=asked.quantity,
            order_reference=asked.order_reference,
            use_by=asked.use_by,
            by=ask.by,
            now=ask.now,
        )
        return _told(credited)

    return await once(ask, work)


@router.get("/v1/lots")
async def list_lots(asked: Annotated[LotsAsked, Query()], ask: Reading) -> Page[LotTold]:
    """Lots, the latest first."""
    found = await lots.page(
        ask.books, ask.account(asked.account_id), before=place_of(ask, asked), limit=asked.limit + 1
    )
    return page(ask, asked, found, lambda each: (each.credited_at, each.id), _told)


def _told(lot: Lot) -> LotTold:
    return LotTold(
        id=lot.id,
        account_id=lot.account_id,
        product_key=lot.product_key,
        package_id=lot.package_id,
        origin=lot.origin,
        quantity=lot.quantity,
        assigned=lot.assigned,
        order_reference=lot.order_reference,
        use_by=lot.use_by,
        credited_at=lot.credited_at,
    )
