"""Signing in: with a password, or with a one-time link and then a password of one's own; and out again."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from licet.accounts import Scope
from licet.invite.sessions import FRESH
from licet.postgres import people
from licet.refusals import Reason, Refused
from licet.web import session
from licet.web.console.desk import THEMES, back_to, go, show
from licet.web.console.forms import Form, Said
from licet.web.door import door_of
from licet.web.session import Ask, signed_in

router = APIRouter()
SHORTEST_PASSWORD = 12
_LONGEST_PASSWORD = 1024
_A_YEAR = 365 * 24 * 3600


@router.get("/")
async def start(request: Request) -> Response:
    """Where one's day begins: an operator's with the accounts, anybody else's with their products."""
    ask = await session.someone(request)
    if ask is None:
        return go(request, "/sign-in")
    return go(request, f"/accounts/{ask.by.account_id}/products" if ask.by.account_id else "/accounts")


@router.get("/sign-in")
async def sign_in_form(request: Request, back: str = "") -> Response:
    return show(request, "sign_in/password.html", form=Form(), back=back)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    form = await Form.of(request)
    back = form.typed.get("back", "")
    email, password = form.email("email"), form.typed.get("password", "")
    if not password or len(password) > _LONGEST_PASSWORD:
        form.wrong["password"] = "Type your password."  # noqa: S105 - a sentence
    if not form.is_right:
        return show(request, "sign_in/password.html", status=422, form=form, back=back)
    answer = go(request, back_to(back or "/"))
    try:
        await session.sign_in_with_password(request, answer, email, password)
    except Refused as refused:
        form.said = Said.no(refused)
        return show(request, "sign_in/password.html", status=refused.reason.status, form=form, back=back)
    return answer


@router.get("/sign-in/{link}")
async def link(request: Request, link: str) -> Response:
    """Only a button: mail programs look at links before people do."""
    return show(request, "sign_in/link.html", form=Form())


@router.post("/sign-in/{link}")
async def spend_link(request: Request, link: str) -> Response:
    answer = go(request, "/password")
    try:
        await session.sign_in_with_link(request, answer, link)
    except Refused as refused:
        form = Form(said=Said.no(refused))
        return show(request, "sign_in/link.html", status=refused.reason.status, form=form)
    return answer


@router.get("/password")
async def password_form(request: Request, ask: Annotated[Ask, signed_in(Scope.READ)]) -> Response:
    return await _password_form(request, ask, Form())


async def _password_form(request: Request, ask: Ask, form: Form, *, status: int = 200) -> Response:
    if ask.signed_in is None:
        raise Refused(Reason.NOT_SIGNED_IN)
    has_one = await people.password_hash(ask.books, ask.signed_in.person.id) is not None
    asked_for = has_one and ask.now - ask.signed_in.started_at > FRESH
    return show(
        request,
        "sign_in/set_password.html",
        status=status,
        form=form,
        former=asked_for,
        email=ask.signed_in.person.email,
    )


@router.post("/password")
async def set_password(request: Request, ask: Annotated[Ask, signed_in(Scope.READ)]) -> Response:
    form = await Form.of(request)
    password = form.typed.get("password", "")
    if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        form.wrong["password"] = f"At least {SHORTEST_PASSWORD} characters."
    elif form.typed.get("again", "") != password:
        form.wrong["again"] = "This is not the same."
    if not form.is_right:
        return await _password_form(request, ask, form, status=422)
    try:
        await session.set_password(ask, password, current=form.typed.get("former") or None)
    except Refused as refused:
        form.said = Said.no(refused)
        return await _password_form(request, ask, form, status=refused.reason.status)
    return go(request, "/", Said("good", "Your password is set.", "Your other sessions have ended."))


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    answer = go(request, "/sign-in", Said("good", "You are signed out."))
    await session.sign_out(request, answer)
    return answer


@router.post("/theme")
async def theme(request: Request) -> Response:
    """Light, dark, or as the system says. A cookie of its own: it is not worth a row."""
    form = await Form.of(request)
    answer = go(request, back_to(form.typed.get("back", "/")))
    chosen = form.typed.get("theme", "")
    if chosen in THEMES:
        https = door_of(request).https
        answer.set_cookie("theme", chosen, max_age=_A_YEAR, path="/", httponly=True, samesite="lax", secure=https)
    return answer
