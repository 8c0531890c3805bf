"""The audit log: who changed what, before and after, when, from where."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from licet.postgres import audit
from licet.postgres.audit import Change
from licet.web.fields import At, Id, Instant, Line, Told
from licet.web.paging import Page, Paged, page, place_of
from licet.web.session import Owning

router = APIRouter(tags=["audit"])


class ChangeTold(Told):
    """``before`` is null for what was made, ``after`` for what was removed."""

    id: int
    at: At
    account_id: str | None
    by_id: str
    by_name: str
    address: str | None
    act: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditAsked(Paged):
    account_id: Id | None = None
    by_id: Line | None = None
    act: Line | None = None
    subject: Line | None = None
    since: Instant | None = None
    until: Instant | None = None


@router.get("/v1/audit")
async def list_changes(asked: Annotated[AuditAsked, Query()], ask: Owning) -> Page[ChangeTold]:
    """Changes, the latest first: of one account, or for an operator of all."""
    found = await audit.page(
        ask.books,
        ask.account(asked.account_id),
        by_id=asked.by_id,
        act=asked.act,
        subject=asked.subject,
        since=asked.since,
        until=asked.until,
        after=(place_of(ask, asked) or (None,))[0],
        limit=asked.limit + 1,
    )
    return page(ask, asked, found, lambda each: (each.id,), _told)


def _told(change: Change) -> ChangeTold:
    return ChangeTold(
        id=change.id,
        at=change.at,
        account_id=change.account_id,
        by_id=change.by_id,
        by_name=change.by_name,
        address=change.address,
        act=change.act,
        subject=change.subject,
        before=change.before,
        after=change.after,
    )
