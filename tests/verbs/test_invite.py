"""Invite: who belongs to an account, what they carry, and how it ends."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from licet.accounts import PLATFORM, SCOPES, By, FreeCodes, Kind, Mode, Person, Role, Scope
from licet.enrol import open_account
from licet.invite import (
    by_person,
    change_role,
    invite,
    issue_operator_token,
    issue_token,
    operator,
    remove_person,
    revoke_token,
    set_password,
    sign_in_by_link,
    sign_in_by_password,
    sign_in_link,
    sign_out,
    signed_in,
    token_holder,
)
from licet.packages import Allowance
from licet.postgres import audit, people
from licet.postgres.books import Books
from licet.refusals import Reason, Refused
from licet.units import Term

NOON = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"


@dataclass
class House:
    """Acme with its owner Alice, and Globex, of which Mallory is."""

    books: Books
    acme: str
    globex: str
    alice: Person
    mallory: By

    @property
    def by_alice(self) -> By:
        return by_person(self.alice, "192.0.2.7")

    async def another(self, role: Role, email: str = "carol@acme.example") -> Person:
        return await invite(
            self.books, account_id=self.acme, email=email, name="Carol", role=role, by=self.by_alice, now=NOON
        )


@pytest.fixture
async def house(books: Books) -> House:
    free = FreeCodes(0, 0, Allowance(Term(12, 0), 1500, 1, 7))
    acme, globex = [
        await open_account(
            books,
            name=name,
            kind=Kind.ENTERPRISE,
            time_zone="UTC",
            mode=Mode.CHARGE,
            data_center="local",
            free=free,
            by=PLATFORM,
            now=NOON,
        )
        for name in ("Acme", "Globex")
    ]
    alice = await invite(
        books, account_id=acme.id, email="alice@acme.example", name="Alice", role=Role.OWNER, by=PLATFORM, now=NOON
    )
    mallory = By("per_mallory", "Mallory", Role.OWNER, globex.id, None, SCOPES[Role.OWNER])
    return House(books, acme.id, globex.id, alice, mallory)


async def test_an_address_belongs_to_one_person(house: House) -> None:
    await house.another(Role.MEMBER, "Carol@Acme.example")
    with pytest.raises(Refused) as taken:
        await house.another(Role.VIEWER, "carol@ACME.example")
    assert taken.value.reason is Reason.NAME_TAKEN
    assert taken.value.sentence == "There is a person named carol@acme.example already."


async def test_who_was_removed_may_be_invited_again(house: House) -> None:
    carol = await house.another(Role.MEMBER)
    await remove_person(house.books, carol.id, by=house.by_alice, now=NOON)
    assert await people.get(house.books, carol.id) is None
    again = await house.another(Role.VIEWER)
    assert again.id != carol.id


async def test_the_last_owner_stays(house: House) -> None:
    with pytest.raises(Refused) as kept:
        await remove_person(house.books, house.alice.id, by=house.by_alice, now=NOON)
    assert kept.value.reason is Reason.LAST_OWNER
    with pytest.raises(Refused) as kept:
        await change_role(house.books, house.alice.id, role=Role.VIEWER, by=PLATFORM, now=NOON)
    assert kept.value.reason is Reason.LAST_OWNER
    await house.another(Role.OWNER)
    assert (await change_role(house.books, house.alice.id, role=Role.VIEWER, by=PLATFORM, now=NOON)).role is Role.VIEWER


async def test_of_two_last_owners_who_leave_at_once_one_stays(house: House) -> None:
    for round_ in range(5):
        carol = await house.another(Role.OWNER, f"carol{round_}@acme.example")
        left = await asyncio.gather(
            remove_person(house.books, carol.id, by=PLATFORM, now=NOON),
            change_role(house.books, house.alice.id, role=Role.MEMBER, by=PLATFORM, now=NOON),
            return_exceptions=True,
        )
        refusals = [each.reason for each in left if isinstance(each, Refused)]
        assert refusals == [Reason.LAST_OWNER]
        owners = [
            each for each in await people.page(house.books, house.acme, after=None, limit=9) if each.role is Role.OWNER
        ]
        assert len(owners) == 1
        if owners[0].id == carol.id:
            await change_role(house.books, house.alice.id, role=Role.OWNER, by=PLATFORM, now=NOON)
            await remove_person(house.books, carol.id, by=PLATFORM, now=NOON)


async def test_a_link_that_two_use_at_once_signs_in_one(house: House) -> None:
    link, expires_at = await sign_in_link(house.books, house.alice.id, hours=24, by=PLATFORM, now=NOON)
    assert expires_at == NOON + timedelta(days=1)
    used = await asyncio.gather(
        *[sign_in_by_link(house.books, link, hours=12, address=None, now=NOON) for _ in range(5)],
        return_exceptions=True,
    )
    assert sorted(isinstance(each, Refused) for each in used) == [False, True, True, True, True]


async def test_a_session_is_over_when_its_person_is_removed_or_signs_out(house: House) -> None:
    carol = await house.another(Role.MEMBER)
    sessions = []
    for _ in range(2):
        link, _ = await sign_in_link(house.books, carol.id, hours=24, by=house.by_alice, now=NOON)
        sessions.append((await sign_in_by_link(house.books, link, hours=12, address=None, now=NOON)).session)
    unused, _ = await sign_in_link(house.books, carol.id, hours=24, by=house.by_alice, now=NOON)
    assert (found := await signed_in(house.books, sessions[0], now=NOON)) is not None
    assert found.person == carol
    assert await signed_in(house.books, sessions[0], now=NOON + timedelta(hours=12)) is None
    await sign_out(house.books, sessions[0])
    await sign_out(house.books, sessions[0])
    assert await signed_in(house.books, sessions[0], now=NOON) is None
    await remove_person(house.books, carol.id, by=house.by_alice, now=NOON)
    assert await signed_in(house.books, sessions[1], now=NOON) is None
    with pytest.raises(Refused) as spent:
        await sign_in_by_link(house.books, unused, hours=12, address=None, now=NOON)
    assert spent.value.reason is Reason.LINK_SPENT


async def test_of_two_passwords_set_at_once_one_holds(house: House) -> None:
    link, _ = await sign_in_link(house.books, house.alice.id, hours=24, by=PLATFORM, now=NOON)
    begun = await sign_in_by_link(house.books, link, hours=12, address=None, now=NOON)
    found = await signed_in(house.books, begun.session, now=NOON)
    assert found is not None
    by = house.by_alice
    tried = await asyncio.gather(
        *[set_password(house.books, found, f"{PASSWORD} {n}", current=None, by=by, now=NOON) for n in range(2)],
        return_exceptions=True,
    )
    assert sorted(isinstance(each, Refused) for each in tried) == [False, True]
    for n, outcome in enumerate(tried):
        if outcome is None:
            email, password = "Alice@acme.example", f"{PASSWORD} {n}"
            signed = await sign_in_by_password(house.books, email, password, hours=12, address=None, now=NOON)
            assert signed.person == house.alice


async def test_nothing_that_is_carried_is_in_the_books(house: House, database_url: str) -> None:
    link, _ = await sign_in_link(house.books, house.alice.id, hours=24, by=PLATFORM, now=NOON)
    unused, _ = await sign_in_link(house.books, house.alice.id, hours=24, by=PLATFORM, now=NOON)
    begun = await sign_in_by_link(house.books, link, hours=12, address=None, now=NOON)
    found = await signed_in(house.books, begun.session, now=NOON)
    assert found is not None
    other, _ = await sign_in_link(house.books, house.alice.id, hours=24, by=PLATFORM, now=NOON)
    await set_password(house.books, found, PASSWORD, current=None, by=house.by_alice, now=NOON)
    _, token = await issue_token(
        house.books, account_id=house.acme, name="CI", role=Role.VIEWER, by=house.by_alice, now=NOON
    )
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        dump = ""
        for table in ("people", "sign_in_links", "sessions", "tokens", "audit", "events"):
            everything = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
            rows = await (await connection.execute(everything)).fetchall()
            dump += "".join(row[0] for row in rows)
    assert "argon2id" in dump
    for carried in (link, unused, other, begun.session, PASSWORD, token):
        assert carried not in dump
        assert carried.encode().hex() not in dump


async def test_mallory_invites_issues_and_ends_nothing_of_acmes(house: House) -> None:
    token, _ = await issue_token(
        house.books, account_id=house.acme, name="CI", role=Role.VIEWER, by=house.by_alice, now=NOON
    )
    books, by = house.books, house.mallory
    for tried in (
        invite(books, account_id=house.acme, email="x@x.example", name="X", role=Role.VIEWER, by=by, now=NOON),
        issue_token(books, account_id=house.acme, name="X", role=Role.VIEWER, by=by, now=NOON),
        change_role(books, house.alice.id, role=Role.VIEWER, by=by, now=NOON),
        remove_person(books, house.alice.id, by=by, now=NOON),
        sign_in_link(books, house.alice.id, hours=1, by=by, now=NOON),
        revoke_token(books, token.id, by=by, now=NOON),
    ):
        with pytest.raises(Refused) as refused:
            await tried
        assert refused.value.reason is Reason.NOT_FOUND


async def test_a_token_has_no_more_scopes_than_its_role_and_its_issuer(house: House) -> None:
    async def issued(by: By, role: Role, scopes: frozenset[Scope] | None = None) -> frozenset[Scope]:
        token, _ = await issue_token(
            house.books, account_id=house.acme, name="X", role=role, scopes=scopes, by=by, now=NOON
        )
        return token.scopes

    assert await issued(house.by_alice, Role.MEMBER) == {Scope.READ, Scope.MANAGE, Scope.INGEST}
    assert await issued(house.by_alice, Role.MEMBER, frozenset({Scope.READ})) == {Scope.READ}
    assert await issued(house.by_alice, Role.VIEWER, frozenset({Scope.READ, Scope.MANAGE})) == {Scope.READ}
    clerk = By("tok", "clerk", Role.OWNER, house.acme, None, frozenset({Scope.PEOPLE}))
    for role in (Role.OWNER, Role.MEMBER, Role.VIEWER, Role.BROKER, Role.INGEST):
        with pytest.raises(Refused) as refused:
            await issued(clerk, role)
        assert refused.value.reason is Reason.NOT_PERMITTED
    with pytest.raises(ValueError, match="no token is operator"):
        await issued(PLATFORM, Role.OPERATOR)


async def test_the_operators_own_token_replaces_the_one_before(house: House) -> None:
    first = await issue_operator_token(house.books, name="up", by=PLATFORM, now=NOON)
    second = await issue_operator_token(house.books, name="up", by=PLATFORM, now=NOON)
    assert await token_holder(house.books, first, now=NOON) is None
    held = await token_holder(house.books, second, now=NOON)
    assert held is not None
    assert held.scopes == frozenset(Scope)


async def test_the_operator_is_invited_once(house: House) -> None:
    first = await operator(house.books, email="Root@localhost", name="Operator", by=PLATFORM, now=NOON)
    again = await operator(house.books, email="root@localhost", name="Operator", by=PLATFORM, now=NOON)
    assert first == again
    assert first.role is Role.OPERATOR


async def test_every_change_is_in_the_audit_log(house: House) -> None:
    carol = await house.another(Role.MEMBER)
    await change_role(house.books, carol.id, role=Role.VIEWER, by=house.by_alice, now=NOON)
    await change_role(house.books, carol.id, role=Role.VIEWER, by=house.by_alice, now=NOON)
    log = await audit.page(house.books, house.acme, subject=carol.id, after=None, limit=9)
    assert [(each.act, each.by_name, each.address) for each in log] == [
        ("change role", "Alice", "192.0.2.7"),
        ("invite person", "Alice", "192.0.2.7"),
    ]
    assert await audit.page(house.books, house.globex, subject=carol.id, after=None, limit=9) == []
