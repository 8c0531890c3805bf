"""Top-ups: units of one kind that an account bought or was given, to offset its excess (rules G2, G3)."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from licet.allowances import Usage
from licet.excess import Origin
from licet.postgres import ledger
from licet.postgres.books import Books
from licet.postgres.ledger import Bought
from licet.topup import top_up
from licet.web.fields import Asked, At, Id, Instant, Name, Told
from licet.web.once import once
from licet.web.paging import Page, Paged, page, place_of
from licet.web.problem import Malformed, WrongField
from licet.web.session import OperatingOnce, Reading

router = APIRouter(tags=["top-ups"])

MOST_UNITS = 10**12

Units = Annotated[int, Field(strict=True, ge=1, le=MOST_UNITS)]


class TopupAsked(Asked):
    """The same reference again, for the same, is the same top-up."""

    account_id: Id
    kind: Usage
    quantity: Annotated[Units, Field(description="Messages, OTA attempts, or MiB-days.")]
    origin: Origin = Origin.PURCHASE
    reference: Name
    expires_at: Annotated[Instant | None, Field(description="What is left of it by then is gone.")] = None


class TopupTold(Told):
    """``left``: what is not drawn yet."""

    id: str
    account_id: str
    kind: Usage
    origin: Origin
    quantity: int
    left: int
    reference: str
    expires_at: At | None
    bought_at: At


class TopupsAsked(Paged):
    account_id: Id | None = None
    kind: Usage | None = None


@router.post("/v1/topups", status_code=201, response_model=TopupTold)
async def credit_topup(asked: TopupAsked, ask: OperatingOnce) -> Response:
    """Credit a top-up, bought or given. It pays open bills at once, the oldest first; what is left offsets excess."""

    async def work(books: Books) -> TopupTold:
        if asked.expires_at is not None and asked.expires_at <= ask.now:
            known = await ledger.topup_by_reference(books, asked.account_id, asked.kind, asked.reference)
            if known is None:
                raise Malformed([WrongField(where="body", field="expires_at", sentence="This is over already.")])
        bought = await top_up(
            books,
            account_id=asked.account_id,
            usage=asked.kind,
            quantity=asked.quantity,
            origin=asked.origin,
            reference=asked.reference,
            expires_at=asked.expires_at,
            by=ask.by,
            now=ask.now,
        )
        return _told(bought)

    return await once(ask, work)


@router.get("/v1/topups")
async def list_topups(asked: Annotated[TopupsAsked, Query()], ask: Reading) -> Page[TopupTold]:
    """Top-ups, the latest first."""
    found = await ledger.topups(
        ask.books,
        ask.account(asked.account_id),
        usage=asked.kind,
        before=place_of(ask, asked),
        limit=asked.limit + 1,
    )
    return page(ask, asked, found, lambda each: (each.bought_at, each.id), _told)


def _told(bought: Bought) -> TopupTold:
    return TopupTold(
        id=bought.id,
        account_id=bought.account_id,
        kind=bought.usage,
        origin=bought.origin,
        quantity=bought.quantity,
        left=bought.left,
        reference=bought.reference,
        expires_at=bought.expires_at,
        bought_at=bought.bought_at,
    )
