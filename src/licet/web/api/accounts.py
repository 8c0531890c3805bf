"""Accounts: opened and seen by the operator; each sees and changes itself."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Response

from licet import enrol
from licet.accounts import Account, Kind, Mode, Scope
from licet.postgres import accounts
from licet.postgres.books import Books
from licet.refusals import Reason, Refused
from licet.web.fields import Asked, At, IdInPath, Line, Name, TimeZone, Told
from licet.web.once import once
from licet.web.paging import Page, Paged, page, place_of
from licet.web.session import Ask, OperatingOnce, Owning, Reading

router = APIRouter(tags=["accounts"])


class AccountAsked(Asked):
    name: Name
    kind: Kind
    time_zone: TimeZone = "UTC"
    mode: Mode = Mode.CHARGE


class AccountChange(Asked):
    """Only what is given changes. ``kind`` is changed by an operator."""

    name: Name | None = None
    kind: Kind | None = None
    time_zone: TimeZone | None = None
    mode: Mode | None = None


class AccountTold(Told):
    id: str
    name: str
    kind: Kind
    data_center: str
    time_zone: str
    mode: Mode
    opened_at: At


class ModeTold(Told):
    starts_on: date
    mode: Mode


class AccountAndModesTold(AccountTold):
    """``mode``: what was chosen last; ``modes``: which one counts, or will count, from which day of its calendar on."""

    modes: list[ModeTold]


class CodesTold(Told):
    """Total = available + consumed, at any instant; unassigned codes are in both total and available."""

    total: int
    available: int
    consumed: int
    unassigned: int
    near_expiry: int


class AccountsAsked(Paged):
    search: Line | None = None


@router.post("/v1/accounts", status_code=201, response_model=AccountTold)
async def open_account(asked: AccountAsked, ask: OperatingOnce) -> Response:
    """Open an account; it is given its free codes."""

    async def work(books: Books) -> AccountTold:
        opened = await enrol.open_account(
            books,
            name=asked.name,
            kind=asked.kind,
            time_zone=asked.time_zone,
            mode=asked.mode,
            data_center=ask.door.data_center,
            free=ask.door.free,
            by=ask.by,
            now=ask.now,
        )
        return _told(opened)

    return await once(ask, work)


@router.get("/v1/accounts")
async def list_accounts(asked: Annotated[AccountsAsked, Query()], ask: Reading) -> Page[AccountTold]:
    """All accounts, for an operator; for anybody else their own."""
    own = ask.account()
    if own is not None:
        found = [await _seen(ask, own)]
    else:
        after = (place_of(ask, asked) or ("",))[0]
        found = await accounts.page(ask.books, search=asked.search, after=after, limit=asked.limit + 1)
    return page(ask, asked, found, lambda each: (each.id,), _told)


@router.get("/v1/accounts/{account_id}")
async def get_account(account_id: IdInPath, ask: Reading) -> AccountAndModesTold:
    """One account."""
    account = await _seen(ask, account_id)
    modes = [ModeTold(starts_on=each[0], mode=each[1]) for each in await accounts.modes_of(ask.books, account_id)]
    return AccountAndModesTold(**dict(_told(account)), modes=modes)


@router.patch("/v1/accounts/{account_id}")
async def change_account(account_id: IdInPath, asked: AccountChange, ask: Owning) -> AccountTold:
    """Change an account. An individual that becomes an enterprise is given the free codes it lacks."""
    ask.account(account_id)
    if asked.kind is not None and not ask.by.may(Scope.OPERATE):
        raise Refused(Reason.NOT_PERMITTED, who=ask.by.name, scope=Scope.OPERATE.value)
    changed = await enrol.change_account(
        ask.books,
        account_id,
        name=asked.name,
        kind=asked.kind,
        time_zone=asked.time_zone,
        mode=asked.mode,
        free=ask.door.free,
        by=ask.by,
        now=ask.now,
    )
    return _told(changed)


@router.get("/v1/accounts/{account_id}/codes")
async def get_codes(account_id: IdInPath, ask: Reading) -> CodesTold:
    """The counters of an account."""
    await _seen(ask, account_id)
    counted = await accounts.codes(ask.books, account_id, now=ask.now)
    return CodesTold(
        total=counted.codes.total,
        available=counted.codes.available,
        consumed=counted.codes.consumed,
        unassigned=counted.unassigned,
        near_expiry=counted.near_expiry,
    )


async def _seen(ask: Ask, account_id: str) -> Account:
    ask.account(account_id)
    found = await accounts.get(ask.books, account_id)
    if found is None:
        raise Refused(Reason.NOT_FOUND, thing="account")
    return found


def _told(account: Account) -> AccountTold:
    return AccountTold(
        id=account.id,
        name=account.name,
        kind=account.kind,
        data_center=account.data_center,
        time_zone=account.time_zone,
        mode=account.mode,
        opened_at=account.opened_at,
    )
