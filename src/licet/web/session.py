"""Who asks: a program with a bearer token, or a person with a session cookie. Both become one ``Ask``.

For both doors::

    from licet.accounts import Scope
    from licet.web.session import Ask, signed_in

    @router.get("/products")
    async def products(ask: Annotated[Ask, signed_in(Scope.READ)]) -> Response: ...

``signed_in(scope)`` raises ``Refused``: not_signed_in (401) without a good token or session, not_permitted (403)
without the scope. ``ask.by`` goes into verbs, ``ask.now`` is the one instant of the request, ``ask.account(asked)``
says whose things are meant. A page that also wants the session itself (to change a password) reads ``ask.signed_in``.

The console's own pages sign people in and out with ``sign_in_with_link``, ``sign_in_with_password``, ``set_password``
and ``sign_out``. The address of a sign-in link is ``sign_in_url(door, link)``; a GET of it must only show a button,
because mail programs look at links before people do. Requests from other sites are stopped before they get here
(``security``).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.params import Depends as Dependency

from licet import invite
from licet.accounts import By, Scope
from licet.postgres.books import Books
from licet.postgres.people import SignedIn
from licet.refusals import Reason, Refused
from licet.web.door import Door, door_of
from licet.web.tries import BEARER, SIGN_IN, network_of


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, and who makes it. ``key`` is its ``Idempotency-Key``."""

    request: Request
    door: Door
    by: By
    now: datetime
    signed_in: SignedIn | None = None
    key: str | None = None

    @property
    def books(self) -> Books:
        return self.door.books

    def account(self, asked: str | None = None) -> str | None:
        """Whose things are meant: one's own, for an operator those of the account asked for, or (None) of all."""
        if asked is not None and not self.by.sees(asked):
            raise Refused(Reason.NOT_FOUND, thing="account")
        return self.by.account_id if asked is None else asked


def signed_in(scope: Scope) -> Any:
    """A dependency: the ask of somebody who may do this."""

    async def asked(request: Request) -> Ask:
        ask = await _who_asks(request)
        if not ask.by.may(scope):
            raise Refused(Reason.NOT_PERMITTED, who=ask.by.name, scope=scope.value)
        return ask

    asked.scope = scope  # type: ignore[attr-defined]  # for those who walk over the table of routes
    return Depends(asked)


def signed_in_once(scope: Scope) -> Any:
    """The same for a POST, which may carry an ``Idempotency-Key``."""
    plain: Dependency = signed_in(scope)
    assert plain.dependency is not None

    async def asked(
        ask: Annotated[Ask, plain],
        idempotency_key: Annotated[
            str | None,
            Header(
                alias="Idempotency-Key",
                description="The same key and body again: the same answer, and nothing is done twice. No time limit.",
                min_length=1,
                max_length=255,
                pattern=r"^[\x21-\x7e]+$",
            ),
        ] = None,
    ) -> Ask:
        return replace(ask, key=idempotency_key)

    asked.scope = scope  # type: ignore[attr-defined]
    return Depends(asked)


Reading = Annotated[Ask, signed_in(Scope.READ)]
Managing = Annotated[Ask, signed_in(Scope.MANAGE)]
Owning = Annotated[Ask, signed_in(Scope.PEOPLE)]
Operating = Annotated[Ask, signed_in(Scope.OPERATE)]
ManagingOnce = Annotated[Ask, signed_in_once(Scope.MANAGE)]
OwningOnce = Annotated[Ask, signed_in_once(Scope.PEOPLE)]
OperatingOnce = Annotated[Ask, signed_in_once(Scope.OPERATE)]


async def _who_asks(request: Request) -> Ask:
    """A bearer token goes before a cookie; one that is not good is not made up for by the other."""
    door, address = door_of(request), address_of(request)
    now = door.clock()
    kind, _, carried = request.headers.get("authorization", "").partition(" ")
    if kind:
        if kind.lower() != "bearer":
            raise Refused(Reason.NOT_SIGNED_IN)
        return Ask(request, door, await _bearer(door, carried.strip(), address, now), now)
    session = request.cookies.get(cookie_name(door))
    found = await invite.signed_in(door.books, session, now=now) if session else None
    if found is None:
        raise Refused(Reason.NOT_SIGNED_IN)
    return Ask(request, door, invite.by_person(found.person, address), now, found)


async def _bearer(door: Door, carried: str, address: str | None, now: datetime) -> By:
    token = await invite.token_holder(door.books, carried, now=now)
    if token is None:
        door.tries.begin(BEARER, network_of(address), now=now)
        raise Refused(Reason.NOT_SIGNED_IN)
    return invite.by_token(token, address)


async def someone(request: Request) -> Ask | None:
    """Who asks, or None: for pages that look different to those who are signed in."""
    try:
        return await _who_asks(request)
    except Refused as refused:
        if refused.reason is Reason.NOT_SIGNED_IN:
            return None
        raise


async def sign_in_with_link(request: Request, response: Response, link: str) -> invite.Begun:
    """Spend the link, and give the browser its session. Raises ``Refused``: link_spent, too_many_tries."""
    door, address = door_of(request), address_of(request)
    now, network = door.clock(), network_of(address)
    door.tries.begin(SIGN_IN, network, now=now)
    begun = await invite.sign_in_by_link(door.books, link, hours=door.session_hours, address=address, now=now)
    door.tries.was_right(SIGN_IN, network)
    await _give(request, response, begun)
    return begun


async def sign_in_with_password(request: Request, response: Response, email: str, password: str) -> invite.Begun:
    """Check the password, and give the browser its session. Raises ``Refused``: wrong_password, too_many_tries."""
    door, address = door_of(request), address_of(request)
    now, counted = door.clock(), (network_of(address), f"mail {email.lower()}")
    for who in counted:
        door.tries.begin(SIGN_IN, who, now=now)
    begun = await invite.sign_in_by_password(
        door.books, email, password, hours=door.session_hours, address=address, now=now
    )
    for who in counted:
        door.tries.was_right(SIGN_IN, who)
    await _give(request, response, begun)
    return begun


async def set_password(ask: Ask, password: str, *, current: str | None = None) -> None:
    """Set the password of the person who asks; their other sessions end. Raises ``Refused``: wrong_password."""
    if ask.signed_in is None:
        raise Refused(Reason.NOT_SIGNED_IN)
    who = f"person {ask.signed_in.person.id}"
    ask.door.tries.begin(SIGN_IN, who, now=ask.now)
    await invite.set_password(ask.books, ask.signed_in, password, current=current, by=ask.by, now=ask.now)
    ask.door.tries.was_right(SIGN_IN, who)


async def sign_out(request: Request, response: Response) -> None:
    """End the session on the server, and take the cookie back."""
    door = door_of(request)
    if session := request.cookies.get(cookie_name(door)):
        await invite.sign_out(door.books, session)
    response.delete_cookie(cookie_name(door), path="/", secure=door.https, httponly=True, samesite="lax")


def sign_in_url(door: Door, link: str) -> str:
    """Where a sign-in link leads."""
    return f"{door.public_url.rstrip('/')}/sign-in/{link}"


def cookie_name(door: Door) -> str:
    """``__Host-``: only over https, only from this very host, and no other host can set it."""
    return "__Host-licet" if door.https else "licet"


def address_of(request: Request) -> str | None:
    """Where a request came from; behind a proxy that the server trusts, what the proxy says."""
    return request.client.host if request.client else None


async def _give(request: Request, response: Response, begun: invite.Begun) -> None:
    """A new session each time; whatever the browser carried before is over."""
    door = door_of(request)
    if former := request.cookies.get(cookie_name(door)):
        await invite.sign_out(door.books, former)
    response.set_cookie(
        cookie_name(door),
        begun.session,
        max_age=door.session_hours * 3600,
        path="/",
        secure=door.https,
        httponly=True,
        samesite="lax",
    )
