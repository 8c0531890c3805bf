"""Tokens: what programs sign in with. A token is shown once."""

import json
from datetime import timedelta

from fastapi import APIRouter, Request, Response

from licet import invite
from licet.accounts import Role
from licet.postgres import tokens
from licet.postgres.books import Books
from licet.refusals import Reason, Refused
from licet.web.console.desk import Owning, once
from licet.web.console.forms import Form, Said
from licet.web.console.turning import PAGE, place, turn

router = APIRouter(prefix="/accounts/{account_id}/tokens")
SECTION = "Tokens"
_ROLES = (Role.OWNER, Role.MEMBER, Role.VIEWER, Role.BROKER, Role.INGEST)
_LONGEST_DAYS = 3650


@router.get("")
async def every(desk: Owning) -> Response:
    after = place(desk) or (None,)
    found = await tokens.page(desk.books, desk.account_id, after=after[0], limit=PAGE + 1)
    rows, cursor, first = turn(desk, found, lambda token: (token.id,))
    return desk.page("tokens/list.html", section=SECTION, tokens=rows, now=desk.ask.now, cursor=cursor, first=first)


@router.get("/new")
async def new(desk: Owning) -> Response:
    return _new(desk, Form.empty(role=Role.MEMBER))


def _new(desk: Owning, form: Form, *, status: int = 200) -> Response:
    return desk.page("tokens/new.html", section=SECTION, form=form, back=desk.here("tokens"), status=status)


@router.post("/new")
async def issue(desk: Owning, request: Request) -> Response:
    form = await Form.of(request)
    name, role = form.text("name"), form.word("role", Role)
    if role not in _ROLES:
        form.wrong["role"] = "Choose one."
    days = form.whole("days", most=_LONGEST_DAYS) if form.typed.get("days", "").strip() else None
    if not form.is_right:
        return _new(desk, form, status=422)

    async def work(bound: Books) -> str:
        _, carried = await invite.issue_token(
            bound,
            account_id=desk.account_id,
            name=name,
            role=role,
            expires_at=desk.ask.now + timedelta(days=days) if days else None,
            by=desk.by,
            now=desk.ask.now,
        )
        return json.dumps(carried)

    try:
        carried = json.loads(await once(desk, form, work))
    except Refused as refused:
        form.said = Said.no(refused)
        return _new(desk, form, status=refused.reason.status)
    return desk.go(desk.here("tokens"), Said("good", f"The token {name} is issued.", "It is shown this once.", carried))


@router.get("/{token_id}/revoke")
async def revoke_question(desk: Owning, token_id: str) -> Response:
    name = await _of_account(desk, token_id)
    return desk.page(
        "house/sure.html",
        section=SECTION,
        form=Form(),
        back=desk.here("tokens"),
        question=f"Revoke the token {name}?",
        what="Whatever uses it is refused from now on.",
        act="Revoke",
        bad=True,
    )


@router.post("/{token_id}/revoke")
async def revoke(desk: Owning, token_id: str) -> Response:
    name = await _of_account(desk, token_id)
    await invite.revoke_token(desk.books, token_id, by=desk.by, now=desk.ask.now)
    return desk.go(desk.here("tokens"), Said("good", f"The token {name} is revoked."))


async def _of_account(desk: Owning, token_id: str) -> str:
    token = await tokens.get(desk.books, token_id)
    if token is None or token.account_id != desk.account_id:
        raise Refused(Reason.NOT_FOUND, thing="token")
    return token.name
