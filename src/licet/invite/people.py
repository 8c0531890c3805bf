"""Who belongs to an account, and as what."""

from dataclasses import replace
from datetime import datetime

from licet.accounts import OF_PROGRAMS, SCOPES, By, Person, Role
from licet.invite.grants import check_grant, sees
from licet.postgres import accounts, audit, people
from licet.postgres.books import Books
from licet.refusals import Reason, Refused


async def invite(
    books: Books, *, account_id: str | None, email: str, name: str, role: Role, by: By, now: datetime
) -> Person:
    """Let a person sign in: to an account, or (None) as an operator. They have no password before they set one."""
    if (role is Role.OPERATOR) != (account_id is None) or role in OF_PROGRAMS:
        raise ValueError(f"nobody is {role} of {account_id or 'the platform'}")
    check_grant(by, account_id, SCOPES[role])
    email = email.lower()
    async with books.transaction(thing="person", name=email) as bound:
        if account_id is not None and await accounts.get(bound, account_id) is None:
            raise Refused(Reason.NOT_FOUND, thing="account")
        person = await people.insert_person(bound, account_id=account_id, email=email, name=name, role=role, now=now)
        after = {"email": person.email, "name": person.name, "role": person.role.value}
        await _record(bound, by, "invite person", person, None, after, now)
        return person


async def operator(books: Books, *, email: str, name: str, by: By, now: datetime) -> Person:
    """The operator with that address: invited now, if not before."""
    async with books.transaction(thing="person", name=email) as bound:
        found = await people.by_email(bound, email.lower())
        if found is not None and found[0].role is Role.OPERATOR:
            return found[0]
        return await invite(bound, account_id=None, email=email, name=name, role=Role.OPERATOR, by=by, now=now)


async def change_role(books: Books, person_id: str, *, role: Role, by: By, now: datetime) -> Person:
    """Let a person of an account do more, or less.

    1. Hold everyone of the account, so that of two last owners who leave at once one stays.
    2. Change the role, and write down who did.
    """
    async with books.transaction() as bound:
        person, others = await _held(bound, person_id, by)
        if person.account_id is None or role not in {Role.OWNER, Role.MEMBER, Role.VIEWER}:
            raise ValueError(f"{person.role} cannot become {role}")
        check_grant(by, person.account_id, SCOPES[role])
        if role is person.role:
            return person
        _keep_an_owner(person, others)
        await people.set_role(bound, person_id, former=person.role, role=role)
        before, after = {"role": person.role.value}, {"role": role.value}
        await _record(bound, by, "change role", person, before, after, now)
        return replace(person, role=role)


async def remove_person(books: Books, person_id: str, *, by: By, now: datetime) -> None:
    """Let a person in no more: their sessions and links end now. What they did is kept under their name."""
    async with books.transaction() as bound:
        person, others = await _held(bound, person_id, by)
        _keep_an_owner(person, others)
        await people.remove(bound, person_id, now=now)
        await people.end_sessions(bound, person_id, besides=None)
        await people.drop_links(bound, person_id)
        before = {"email": person.email, "name": person.name, "role": person.role.value}
        await _record(bound, by, "remove person", person, before, None, now)


async def _held(books: Books, person_id: str, by: By) -> tuple[Person, list[Person]]:
    """A person whom whoever asks may see, and the others of the account, all held until the transaction ends."""
    found = await people.get(books, person_id)
    if found is not None and sees(by, found.account_id):
        held = await people.lock_account(books, found.account_id)
        if person := held.pop(person_id, None):
            return person, list(held.values())
    raise Refused(Reason.NOT_FOUND, thing="person")


def _keep_an_owner(leaving: Person, others: list[Person]) -> None:
    if leaving.role is Role.OWNER and not any(other.role is Role.OWNER for other in others):
        raise Refused(Reason.LAST_OWNER)


async def _record(
    books: Books,
    by: By,
    act: str,
    person: Person,
    before: dict[str, str] | None,
    after: dict[str, str] | None,
    now: datetime,
) -> None:
    await audit.record(
        books,
        by=by,
        act=act,
        subject=person.id,
        before=before,
        after=after,
        account_id=person.account_id,
        now=now,
    )
