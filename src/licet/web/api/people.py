"""People of an account, and the links by which they first sign in."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field, model_validator

from licet import invite
from licet.accounts import Person, Role
from licet.postgres import people
from licet.postgres.books import Books
from licet.refusals import Reason, Refused
from licet.web.fields import Asked, At, Email, Id, IdInPath, Name, Told
from licet.web.once import once
from licet.web.paging import Page, Paged, page, place_of
from licet.web.session import Ask, Owning, OwningOnce, sign_in_url

router = APIRouter(tags=["people"])

AccountRole = Literal[Role.OWNER, Role.MEMBER, Role.VIEWER]


class PersonAsked(Asked):
    """``account_id``: one's own if it is not said. An operator belongs to no account."""

    account_id: Id | None = None
    email: Email
    name: Name
    role: Literal[Role.OPERATOR, Role.OWNER, Role.MEMBER, Role.VIEWER]

    @model_validator(mode="after")
    def operators_belong_to_no_account(self) -> "PersonAsked":
        if self.role is Role.OPERATOR and self.account_id is not None:
            raise ValueError("an operator belongs to no account")
        return self


class PersonChange(Asked):
    role: AccountRole


class PersonTold(Told):
    id: str
    account_id: str | None
    email: str
    name: str
    role: Role
    invited_at: At


class LinkTold(Told):
    url: str = Field(description="Works once.")
    expires_at: At


class PeopleAsked(Paged):
    account_id: Id | None = None


@router.post("/v1/people", status_code=201, response_model=PersonTold)
async def invite_person(asked: PersonAsked, ask: OwningOnce) -> Response:
    """Let a person sign in. They do so with a link first, and then with a password that they set."""
    account_id = None if asked.role is Role.OPERATOR else account_of(ask, asked.account_id)

    async def work(books: Books) -> PersonTold:
        person = await invite.invite(
            books,
            account_id=account_id,
            email=asked.email,
            name=asked.name,
            role=Role(asked.role),
            by=ask.by,
            now=ask.now,
        )
        return _told(person)

    return await once(ask, work)


@router.get("/v1/people")
async def list_people(asked: Annotated[PeopleAsked, Query()], ask: Owning) -> Page[PersonTold]:
    """The people of an account; for an operator everybody."""
    after = (place_of(ask, asked) or (None,))[0]
    found = await people.page(ask.books, ask.account(asked.account_id), after=after, limit=asked.limit + 1)
    return page(ask, asked, found, lambda each: (each.id,), _told)


@router.patch("/v1/people/{person_id}")
async def change_role(person_id: IdInPath, asked: PersonChange, ask: Owning) -> PersonTold:
    """Let a person of an account do more, or less."""
    return _told(await invite.change_role(ask.books, person_id, role=Role(asked.role), by=ask.by, now=ask.now))


@router.delete("/v1/people/{person_id}", status_code=204)
async def remove_person(person_id: IdInPath, ask: Owning) -> None:
    """Let a person in no more. Their sessions end now."""
    await invite.remove_person(ask.books, person_id, by=ask.by, now=ask.now)


@router.post("/v1/people/{person_id}/sign-in-links", status_code=201, response_model=LinkTold)
async def make_sign_in_link(person_id: IdInPath, ask: OwningOnce) -> Response:
    """A link that signs this person in, once."""

    async def work(books: Books) -> LinkTold:
        link: tuple[str, datetime] = await invite.sign_in_link(
            books, person_id, hours=ask.door.link_hours, by=ask.by, now=ask.now
        )
        return LinkTold(url=sign_in_url(ask.door, link[0]), expires_at=link[1])

    return await once(ask, work)


def account_of(ask: Ask, asked: str | None) -> str:
    """Whose people or tokens are meant: an operator has to say."""
    account_id = ask.account(asked)
    if account_id is None:
        raise Refused(Reason.NOT_FOUND, thing="account")
    return account_id


def _told(person: Person) -> PersonTold:
    return PersonTold(
        id=person.id,
        account_id=person.account_id,
        email=person.email,
        name=person.name,
        role=person.role,
        invited_at=person.invited_at,
    )
