"""Accounts: the operator's list, opening one, and the settings of the one that is looked at."""

import json

from fastapi import APIRouter, Request, Response

from licet import enrol
from licet.accounts import Kind, Mode, Scope
from licet.postgres import accounts
from licet.postgres.books import Books
from licet.web.console.desk import Looking, Operating, Owning, once
from licet.web.console.forms import Form, Said
from licet.web.console.turning import PAGE, place, turn

router = APIRouter(prefix="/accounts")
SECTION = "Accounts"


@router.get("")
async def every(desk: Operating, search: str = "") -> Response:
    search, after = search.strip()[:100], place(desk) or ("",)
    found = await accounts.page(desk.books, search=search or None, after=after[0], limit=PAGE + 1)
    rows, cursor, first = turn(desk, found, lambda account: (account.id,))
    counted = {account.id: await accounts.codes(desk.books, account.id, now=desk.ask.now) for account in rows}
    return desk.page(
        "accounts/list.html",
        section=SECTION,
        accounts=rows,
        counted=counted,
        search=search,
        cursor=cursor,
        first=first,
    )


@router.get("/new")
async def new(desk: Operating) -> Response:
    form = Form.empty(kind=Kind.ENTERPRISE, mode=Mode.CHARGE, time_zone="UTC")
    return _new(desk, form)


def _new(desk: Operating, form: Form, *, status: int = 200) -> Response:
    return desk.page(
        "accounts/new.html", section=SECTION, form=form, back="/accounts", free=desk.ask.door.free, status=status
    )


@router.post("/new")
async def open_one(desk: Operating, request: Request) -> Response:
    form = await Form.of(request)
    name, kind, mode = form.text("name"), form.word("kind", Kind), form.word("mode", Mode)
    time_zone = form.time_zone("time_zone")
    if not form.is_right:
        return _new(desk, form, status=422)

    async def work(bound: Books) -> str:
        opened = await enrol.open_account(
            bound,
            name=name,
            kind=kind,
            time_zone=time_zone,
            mode=mode,
            data_center=desk.ask.door.data_center,
            free=desk.ask.door.free,
            by=desk.by,
            now=desk.ask.now,
        )
        return json.dumps(opened.id)

    account_id = json.loads(await once(desk, form, work))
    return desk.go(f"/accounts/{account_id}/products", Said("good", f"The account {name} is open."))


@router.get("/{account_id}")
async def one(desk: Looking) -> Response:
    return desk.go(desk.here("products"))


@router.get("/{account_id}/settings")
async def settings(desk: Looking) -> Response:
    assert desk.account is not None
    account = desk.account
    form = Form.empty(name=account.name, kind=account.kind, mode=account.mode, time_zone=account.time_zone)
    return desk.page("accounts/settings.html", section="Settings", form=form)


@router.post("/{account_id}/settings")
async def change(desk: Owning, request: Request) -> Response:
    """Its people may change all but the kind: that is the operator's, since free codes hang on it (rule A8)."""
    assert desk.account is not None
    form = await Form.of(request)
    name, mode, time_zone = form.text("name"), form.word("mode", Mode), form.time_zone("time_zone")
    kind = form.word("kind", Kind) if desk.by.may(Scope.OPERATE) else desk.account.kind
    if not form.is_right:
        return desk.page("accounts/settings.html", section="Settings", form=form, status=422)
    await enrol.change_account(
        desk.books,
        desk.account_id,
        name=name,
        kind=kind if kind is not desk.account.kind else None,
        time_zone=time_zone,
        mode=mode,
        free=desk.ask.door.free,
        by=desk.by,
        now=desk.ask.now,
    )
    return desk.go(desk.here("settings"), Said("good", "The account is changed."))
