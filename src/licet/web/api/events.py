"""Events: what has happened to an account's products, codes and devices."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from licet.events import Event, Kind
from licet.postgres import events
from licet.web.fields import At, Id, ProductKey, Told
from licet.web.paging import Page, Paged, page, place_of
from licet.web.session import Reading

router = APIRouter(tags=["events"])


class EventTold(Told):
    """``id`` grows; who hears of an event twice knows it by that."""

    id: int
    at: At
    kind: Kind
    account_id: str | None
    product_key: str | None
    facts: dict[str, Any]


class EventsAsked(Paged):
    account_id: Id | None = None
    product_key: ProductKey | None = None
    kind: Kind | None = None


@router.get("/v1/events")
async def list_events(asked: Annotated[EventsAsked, Query()], ask: Reading) -> Page[EventTold]:
    """Events, the latest first."""
    found = await events.page(
        ask.books,
        ask.account(asked.account_id),
        product_key=asked.product_key,
        kind=asked.kind,
        after=(place_of(ask, asked) or (None,))[0],
        limit=asked.limit + 1,
    )
    return page(ask, asked, found, lambda each: (each.id,), _told)


def _told(event: Event) -> EventTold:
    return EventTold(
        id=event.id,
        at=event.at,
        kind=event.kind,
        account_id=event.account_id,
        product_key=event.product_key,
        facts=event.facts,
    )
