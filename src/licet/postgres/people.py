"""People, the links and passwords they sign in with, and the sessions that begin there. Only hashes are kept."""

from dataclasses import dataclass
from datetime import datetime

from licet.accounts import Person, Role
from licet.postgres.books import Books, Row
from licet.postgres.queries import queries

_sql = queries("people")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person with a session: which, and since when."""

    person: Person
    session: bytes
    started_at: datetime


async def insert_person(
    books: Books, *, account_id: str | None, email: str, name: str, role: Role, now: datetime
) -> Person:
    rows = await books.all(_sql.insert_person, account_id=account_id, email=email, name=name, role=role.value, now=now)
    return _person(rows[0])


async def get(books: Books, person_id: str) -> Person | None:
    row = await books.one(_sql.get, person_id=person_id)
    return _person(row) if row else None


async def by_email(books: Books, email: str) -> tuple[Person, str | None] | None:
    """The person under that address, and the hash of their password."""
    row = await books.one(_sql.by_email, email=email)
    return (_person(row[:6]), row[6]) if row else None


async def page(books: Books, account_id: str | None, *, after: str | None, limit: int) -> list[Person]:
    """By id: of one account, or (None) of all, operators among them; ``after`` is the id of the last person seen."""
    return [_person(row) for row in await books.all(_sql.page, account_id=account_id, after=after, limit=limit)]


async def lock_account(books: Books, account_id: str | None) -> dict[str, Person]:
    """Everyone of that account (None: the operators) by id, held until the transaction ends."""
    return {row[0]: _person(row) for row in await books.all(_sql.lock_account, account_id=account_id)}


async def set_role(books: Books, person_id: str, *, former: Role, role: Role) -> None:
    await books.run(_sql.set_role, person_id=person_id, former=former.value, role=role.value)


async def remove(books: Books, person_id: str, *, now: datetime) -> None:
    await books.run(_sql.remove, person_id=person_id, now=now)


async def password_hash(books: Books, person_id: str) -> str | None:
    row = await books.one(_sql.password_hash, person_id=person_id)
    return row[0] if row else None


async def set_password_hash(books: Books, person_id: str, *, former: str | None, password_hash: str) -> bool:
    """Whether the password was still the former one."""
    touched = await books.run(_sql.set_password_hash, person_id=person_id, former=former, password_hash=password_hash)
    return touched == 1


async def insert_link(books: Books, *, link: bytes, person_id: str, expires_at: datetime) -> None:
    await books.run(_sql.insert_link, hash=link, person_id=person_id, expires_at=expires_at)


async def spend_link(books: Books, link: bytes, *, now: datetime) -> str | None:
    """Whose link it was, if it was still good; it no longer is."""
    row = await books.one(_sql.spend_link, hash=link, now=now)
    return row[0] if row else None


async def drop_links(books: Books, person_id: str) -> None:
    await books.run(_sql.drop_links, person_id=person_id)


async def start_session(
    books: Books, *, session: bytes, person_id: str, checked: str | None, now: datetime, expires_at: datetime
) -> bool:
    """``checked``: the hash that the password was checked against; None where no password was asked for."""
    touched = await books.run(
        _sql.start_session, hash=session, person_id=person_id, checked=checked, now=now, expires_at=expires_at
    )
    return touched == 1


async def signed_in(books: Books, session: bytes, *, now: datetime) -> SignedIn | None:
    row = await books.one(_sql.signed_in, hash=session, now=now)
    return SignedIn(_person(row[:6]), session, row[6]) if row else None


async def end_session(books: Books, session: bytes) -> None:
    await books.run(_sql.end_session, hash=session)


async def end_sessions(books: Books, person_id: str, *, besides: bytes | None) -> None:
    await books.run(_sql.end_sessions, person_id=person_id, besides=besides)


async def forget_expired(books: Books, person_id: str, *, now: datetime) -> None:
    await books.run(_sql.forget_expired, person_id=person_id, now=now)


def _person(row: Row) -> Person:
    person_id, account_id, email, name, role, invited_at = row
    return Person(person_id, account_id, email, name, Role(role), invited_at)
