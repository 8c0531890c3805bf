"""How a person signs in: with a link that works once, then with a password that they set themselves.

What the person carries is random and shown once; the books keep its hash. Roles are read at every request, so a session
never outlives what its person may do.
"""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from licet.accounts import SCOPES, By, Person
from licet.invite.grants import check_grant, sees
from licet.postgres import audit, people
from licet.postgres.books import Books
from licet.postgres.people import SignedIn
from licet.refusals import Reason, Refused

#: A session as young as this is proof enough of who asks to change the password; later the present one is asked for.
FRESH = timedelta(minutes=15)

_HASHER = PasswordHasher()


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that has just begun: what the person carries, and until when."""

    person: Person
    session: str
    expires_at: datetime


def by_person(person: Person, address: str | None) -> By:
    """Who asks, when a person does."""
    return By(person.id, person.name, person.role, person.account_id, address, SCOPES[person.role])


async def sign_in_link(books: Books, person_id: str, *, hours: int, by: By, now: datetime) -> tuple[str, datetime]:
    """A way in for that person, good once and for so many hours. Whoever makes it could do what the person may do."""
    async with books.transaction() as bound:
        person = await people.get(bound, person_id)
        if person is None or not sees(by, person.account_id):
            raise Refused(Reason.NOT_FOUND, thing="person")
        check_grant(by, person.account_id, SCOPES[person.role])
        link, expires_at = secrets.token_urlsafe(24), now + timedelta(hours=hours)
        await people.insert_link(bound, link=_hash(link), person_id=person.id, expires_at=expires_at)
        await _record(bound, by, "make sign-in link", person, now)
        return link, expires_at


async def sign_in_by_link(books: Books, link: str, *, hours: int, address: str | None, now: datetime) -> Begun:
    """Begin a session, and spend the link in the same transaction."""
    async with books.transaction() as bound:
        person_id = await people.spend_link(bound, _hash(link), now=now)
        person = await people.get(bound, person_id) if person_id else None
        if person is None:
            raise Refused(Reason.LINK_SPENT)
        return await _begin(bound, person, None, hours, address, now)


async def sign_in_by_password(
    books: Books, email: str, password: str, *, hours: int, address: str | None, now: datetime
) -> Begun:
    """Begin a session. An unknown address takes as long as a wrong password, and is told the same.

    1. Read the hash, and check the password outside any transaction: that is slow on purpose.
    2. Begin the session only if that hash is still the person's.
    """
    found = await people.by_email(books, email.lower())
    checked = found[1] if found else None
    if not await asyncio.to_thread(_verify, checked or _nobodys_hash(), password) or found is None or checked is None:
        raise Refused(Reason.WRONG_PASSWORD)
    async with books.transaction() as bound:
        return await _begin(bound, found[0], checked, hours, address, now)


async def set_password(
    books: Books, signed_in: SignedIn, password: str, *, current: str | None, by: By, now: datetime
) -> None:
    """Set the password of whoever is signed in, and end their other sessions and unused links.

    1. Whoever has a password already proves it again, unless this session has only just begun.
    2. Replace exactly the password that was checked: one row, or somebody was first.
    """
    person = signed_in.person
    former = await people.password_hash(books, person.id)
    if former is not None and now - signed_in.started_at > FRESH:
        proven = current is not None and await asyncio.to_thread(_verify, former, current)
        if not proven:
            raise Refused(Reason.WRONG_PASSWORD)
    password_hash = await asyncio.to_thread(_HASHER.hash, password)
    async with books.transaction() as bound:
        if not await people.set_password_hash(bound, person.id, former=former, password_hash=password_hash):
            raise Refused(Reason.WRONG_PASSWORD)
        await people.end_sessions(bound, person.id, besides=signed_in.session)
        await people.drop_links(bound, person.id)
        await _record(bound, by, "set password", person, now)


async def signed_in(books: Books, session: str, *, now: datetime) -> SignedIn | None:
    """Who carries that session, while it is good."""
    return await people.signed_in(books, _hash(session), now=now)


async def sign_out(books: Books, session: str) -> None:
    """End that session, now. One that is over already stays so."""
    async with books.transaction() as bound:
        await people.end_session(bound, _hash(session))


async def _begin(
    books: Books, person: Person, checked: str | None, hours: int, address: str | None, now: datetime
) -> Begun:
    await people.forget_expired(books, person.id, now=now)
    session, expires_at = secrets.token_urlsafe(32), now + timedelta(hours=hours)
    if not await people.start_session(
        books, session=_hash(session), person_id=person.id, checked=checked, now=now, expires_at=expires_at
    ):
        raise Refused(Reason.WRONG_PASSWORD)
    await _record(books, by_person(person, address), "sign in", person, now)
    return Begun(person, session, expires_at)


async def _record(books: Books, by: By, act: str, person: Person, now: datetime) -> None:
    await audit.record(books, by=by, act=act, subject=person.id, account_id=person.account_id, now=now)


def _hash(carried: str) -> bytes:
    return hashlib.sha256(carried.encode()).digest()


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except VerifyMismatchError:
        return False


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash(secrets.token_urlsafe(16))
