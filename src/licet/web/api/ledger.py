"""The ledger of an account's top-ups: why its balance is what it is, row by row, for good (rule G4)."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from licet.allowances import Usage
from licet.postgres import accounts, ledger
from licet.refusals import Reason, Refused
from licet.statements import Entry, LedgerType
from licet.web.exports import ALSO, Format, Row, export, format_of
from licet.web.fields import At, Id, Told
from licet.web.paging import Page, Paged, page, place_of
from licet.web.problem import Malformed, WrongField
from licet.web.session import Ask, Reading

router = APIRouter(tags=["top-ups"])

_HEADINGS = ("id", "at", "type", "quantity", "balance", "month", "reference")
_ROWS_AT_ONCE = 1000


class EntryTold(Told):
    """``balance``: after this row; ``month``: the bill's, where one was settled."""

    id: int
    at: At
    type: LedgerType
    quantity: int
    balance: int
    month: Annotated[str | None, Field(examples=["2026-01"])]
    reference: str | None


class LedgerTold(Page[EntryTold]):
    """``balance``: what is left of all top-ups; ``next_expiry_at``: when the first of what is left is gone."""

    account_id: str
    kind: Usage
    balance: int
    next_expiry_at: At | None


class LedgerAsked(Paged):
    """An operator says of which account."""

    account_id: Id | None = None
    format: Annotated[Format | None, Field(description="CSV and XLSX hold all rows.")] = None


@router.get("/v1/ledger/{kind}", response_model=LedgerTold, responses=ALSO)
async def get_ledger(kind: Usage, asked: Annotated[LedgerAsked, Query()], ask: Reading) -> LedgerTold | Response:
    """An account's balance of one kind of top-up, and every change of it, the latest first."""
    account_id = await one_account(ask, asked.account_id)
    format_ = format_of(ask.request, asked.format)
    if format_ is not Format.JSON:
        return export(format_, f"ledger-{kind.value}-{account_id}", _HEADINGS, _all(ask, account_id, kind), now=ask.now)
    (before,) = place_of(ask, asked) or (None,)
    found = await ledger.page(ask.books, account_id, kind, before=before, limit=asked.limit + 1)
    left = (await ledger.remaining(ask.books, [account_id])).get((account_id, kind), [])
    listed = page(ask, asked, found, lambda each: (each.id,), _told)
    latest = found if before is None else await ledger.page(ask.books, account_id, kind, before=None, limit=1)
    return LedgerTold(
        account_id=account_id,
        kind=kind,
        balance=latest[0].balance if latest else 0,
        next_expiry_at=min((each.expires_at for each in left if each.expires_at is not None), default=None),
        data=listed.data,
        next_cursor=listed.next_cursor,
    )


async def one_account(ask: Ask, asked: str | None) -> str:
    """The account that is meant: there must be one."""
    account_id = ask.account(asked)
    if account_id is None:
        raise Malformed([WrongField(where="query", field="account_id", sentence="Say of which account.")])
    if await accounts.get(ask.books, account_id) is None:
        raise Refused(Reason.NOT_FOUND, thing="account")
    return account_id


async def _all(ask: Ask, account_id: str, kind: Usage) -> AsyncGenerator[Row, None]:
    before = None
    while found := await ledger.page(ask.books, account_id, kind, before=before, limit=_ROWS_AT_ONCE):
        for each in found:
            told = _told(each)
            yield [told.id, told.at, told.type, told.quantity, told.balance, told.month, told.reference]
        before = found[-1].id


def _told(entry: Entry) -> EntryTold:
    return EntryTold(
        id=entry.id,
        at=entry.at,
        type=entry.type,
        quantity=entry.quantity,
        balance=entry.balance,
        month=f"{entry.month:%Y-%m}" if entry.month is not None else None,
        reference=entry.reference,
    )
