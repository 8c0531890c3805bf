"""The people of an account: who may look, who may act, and the one-time links by which they first sign in."""

import json

from fastapi import APIRouter, Request, Response

from licet import invite
from licet.accounts import Role
from licet.postgres import people
from licet.postgres.books import Books
from licet.refusals import Reason, Refused
from licet.web.console.desk import Owning, once
from licet.web.console.forms import Form, Said
from licet.web.console.turning import PAGE, place, turn
from licet.web.session import sign_in_url

router = APIRouter(prefix="/accounts/{account_id}/people")
SECTION = "People"
_ROLES = (Role.OWNER, Role.MEMBER, Role.VIEWER)


@router.get("")
async def every(desk: Owning) -> Response:
    after = place(desk) or (None,)
    found = await people.page(desk.books, desk.account_id, after=after[0], limit=PAGE + 1)
    rows, cursor, first = turn(desk, found, lambda person: (person.id,))
    return desk.page("people/list.html", section=SECTION, people=rows, roles=_ROLES, cursor=cursor, first=first)


@router.get("/new")
async def new(desk: Owning) -> Response:
    return _new(desk, Form.empty(role=Role.MEMBER))


def _new(desk: Owning, form: Form, *, status: int = 200) -> Response:
    return desk.page("people/new.html", section=SECTION, form=form, back=desk.here("people"), status=status)


@router.post("/new")
async def invite_one(desk: Owning, request: Request) -> Response:
    """A person, and the link that they sign in with first. It is shown once, to be passed on."""
    form = await Form.of(request)
    email, name, role = form.email("email"), form.text("name"), form.word("role", Role)
    if role not in _ROLES:
        form.wrong["role"] = "Choose one."
    if not form.is_right:
        return _new(desk, form, status=422)

    async def work(bound: Books) -> str:
        person = await invite.invite(
            bound, account_id=desk.account_id, email=email, name=name, role=role, by=desk.by, now=desk.ask.now
        )
        return json.dumps(await _link(desk, bound, person.id))

    try:
        url = json.loads(await once(desk, form, work))
    except Refused as refused:
        form.said = Said.no(refused)
        return _new(desk, form, status=refused.reason.status)
    return desk.go(desk.here("people"), _pass_on(desk, name, url))


@router.post("/{person_id}/link")
async def new_link(desk: Owning, person_id: str) -> Response:
    name = await _of_account(desk, person_id)
    return desk.go(desk.here("people"), _pass_on(desk, name, await _link(desk, desk.books, person_id)))


@router.post("/{person_id}/role")
async def change_role(desk: Owning, person_id: str, request: Request) -> Response:
    form = await Form.of(request)
    role = form.word("role", Role)
    if role not in _ROLES or not form.is_right:
        return desk.go(desk.here("people"), Said("bad", "There is no such role."))
    await _of_account(desk, person_id)
    try:
        person = await invite.change_role(desk.books, person_id, role=role, by=desk.by, now=desk.ask.now)
    except Refused as refused:
        return desk.go(desk.here("people"), Said.no(refused))
    return desk.go(desk.here("people"), Said("good", f"{person.name} is {role} now."))


@router.get("/{person_id}/remove")
async def remove_question(desk: Owning, person_id: str) -> Response:
    name = await _of_account(desk, person_id)
    return desk.page(
        "house/sure.html",
        section=SECTION,
        form=Form(),
        back=desk.here("people"),
        question=f"Remove {name}?",
        what="Their sessions end at once, and they cannot sign in again.",
        act="Remove",
        bad=True,
    )


@router.post("/{person_id}/remove")
async def remove(desk: Owning, person_id: str) -> Response:
    name = await _of_account(desk, person_id)
    try:
        await invite.remove_person(desk.books, person_id, by=desk.by, now=desk.ask.now)
    except Refused as refused:
        return desk.go(desk.here("people"), Said.no(refused))
    return desk.go(desk.here("people"), Said("good", f"{name} is removed."))


async def _of_account(desk: Owning, person_id: str) -> str:
    person = await people.get(desk.books, person_id)
    if person is None or person.account_id != desk.account_id:
        raise Refused(Reason.NOT_FOUND, thing="person")
    return person.name


async def _link(desk: Owning, books: Books, person_id: str) -> str:
    door = desk.ask.door
    link, _ = await invite.sign_in_link(books, person_id, hours=door.link_hours, by=desk.by, now=desk.ask.now)
    return sign_in_url(door, link)


def _pass_on(desk: Owning, name: str, url: str) -> Said:
    hours = desk.ask.door.link_hours
    return Said("good", f"Pass this link on to {name}.", f"It signs them in once, within {hours} hours.", url)
