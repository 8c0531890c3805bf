"""Where a page is made: who asks, whose account they look at, what they are told, and where they go next.

A handler asks for a desk by what must be allowed there: ``desk: Looking``, ``desk: Managing``; it answers with
``desk.page(template, …)`` or ``desk.go(address, said)``.
"""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from licet.accounts import Account, By, Scope
from licet.postgres import accounts, asks
from licet.postgres.books import Books
from licet.refusals import Reason, Refused
from licet.web.console.forms import Form, Said
from licet.web.console.rendering import JINJA
from licet.web.door import Door, door_of
from licet.web.session import Ask, signed_in

THEMES = ("light", "auto", "dark")
_FLASH = "licet-said"
_FLASH_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Desk:
    """One request of somebody who has signed in. ``account`` is the one they look at; operators' pages have none."""

    ask: Ask
    account: Account | None = None

    @property
    def books(self) -> Books:
        return self.ask.books

    @property
    def by(self) -> By:
        return self.ask.by

    @property
    def zone(self) -> str:
        return self.account.time_zone if self.account else "UTC"

    @property
    def account_id(self) -> str:
        """For pages under ``/accounts/{account_id}``, which have one."""
        assert self.account is not None
        return self.account.id

    def here(self, path: str) -> str:
        """The address of a page of this account."""
        return f"/accounts/{self.account_id}/{path}"

    def page(self, template: str, *, section: str, status: int = 200, **facts: object) -> Response:
        """A page, with whatever is to be said since the last one."""
        return show(
            self.ask.request,
            template,
            status=status,
            by=self.by,
            account=self.account,
            zone=self.zone,
            here=self.here,
            section=section,
            **facts,
        )

    def go(self, address: str, said: Said | None = None) -> Response:
        """To another page, which says it."""
        return go(self.ask.request, address, said)


def looking(scope: Scope) -> Any:
    """A dependency: the desk of somebody who may do this in the account of the path. Another's does not exist."""

    async def desk(account_id: str, ask: Annotated[Ask, signed_in(scope)]) -> Desk:
        account = await accounts.get(ask.books, account_id) if ask.by.sees(account_id) else None
        if account is None:
            raise Refused(Reason.NOT_FOUND, thing="account")
        return Desk(ask, account)

    return Depends(desk)


def operating() -> Any:
    """A dependency: an operator's desk, for what belongs to no account."""

    async def desk(ask: Annotated[Ask, signed_in(Scope.OPERATE)]) -> Desk:
        return Desk(ask)

    return Depends(desk)


Looking = Annotated[Desk, looking(Scope.READ)]
Managing = Annotated[Desk, looking(Scope.MANAGE)]
Owning = Annotated[Desk, looking(Scope.PEOPLE)]
OperatingHere = Annotated[Desk, looking(Scope.OPERATE)]
Operating = Annotated[Desk, operating()]


async def once(desk: Desk, form: Form, work: Callable[[Books], Awaitable[str]]) -> str:
    """Do what a form asks for once, however often it is sent. Returns what ``work`` returned the first time.

    The form carries a key of its own; it is claimed in the transaction of the work, as the API does.
    """
    asked = json.dumps([desk.ask.request.url.path, sorted(form.typed.items())]).encode()
    scope, key = f"console {desk.by.id}", hashlib.sha256(asked).hexdigest()
    about = f"{scope} {key}"
    async with desk.books.transaction() as bound:
        if not await asks.claim(bound, scope=scope, key=key, fingerprint=b"", now=desk.ask.now):
            answered = await asks.answered(bound, scope=scope, key=key)
            if answered is None:
                raise Refused(Reason.BUSY)
            return bound.keyring.open(answered.sealed_answer, about)
        done = await work(bound)
        await asks.answer(bound, scope=scope, key=key, status=303, sealed_answer=bound.keyring.seal(done, about))
        return done


def show(request: Request, template: str, *, status: int = 200, **facts: object) -> Response:
    """A page for anybody."""
    flash = _said(request)
    known: dict[str, object] = {"by": None, "account": None, "zone": "UTC", "section": ""}
    written = JINJA.get_template(template).render(
        known | {"theme": theme_of(request), "path": path_of(request), "flash": flash} | facts
    )
    answer = HTMLResponse(written, status)
    if flash:
        answer.delete_cookie(_FLASH, path="/", httponly=True, samesite="lax", secure=door_of(request).https)
    return answer


def go(request: Request, address: str, said: Said | None = None) -> Response:
    """See other. Where a script asked, the browser is told to go there itself."""
    answer = Response(status_code=204, headers={"HX-Redirect": address})
    if "hx-request" not in request.headers:
        answer = RedirectResponse(address, 303)
    if said is not None:
        door = door_of(request)
        # Sealed: it may hold a secret that is shown once, and nobody else can put words into our mouth.
        sealed = door.books.keyring.seal(json.dumps([said.tone, said.sentence, said.next_step, said.secret]), _FLASH)
        value = base64.urlsafe_b64encode(sealed).decode()
        answer.set_cookie(
            _FLASH, value, max_age=_FLASH_SECONDS, path="/", httponly=True, samesite="lax", secure=door.https
        )
    return answer


def back_to(address: str) -> str:
    """An address of our own that somebody wants to go back to; anything else leads to the start."""
    own = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable()
    return address if own else "/"


def theme_of(request: Request) -> str:
    theme = request.cookies.get("theme", "auto")
    return theme if theme in THEMES else "auto"


def path_of(request: Request) -> str:
    return request.url.path


def _said(request: Request) -> Said | None:
    if not (carried := request.cookies.get(_FLASH)):
        return None
    door: Door = door_of(request)
    try:
        return Said(*json.loads(door.books.keyring.open(base64.urlsafe_b64decode(carried), _FLASH)))
    except (ValueError, IndexError):
        return None
