"""Who may do what, and whose things exist for whom (§8)."""

from dataclasses import replace

import pytest

from licet.accounts import PLATFORM, SCOPES, By, Role, Scope


@pytest.mark.table("""
    role      may
    operator  read manage people operate admit ingest
    owner     read manage people ingest
    member    read manage ingest
    viewer    read
    broker    admit
    ingest    ingest
""")
def test_what_each_role_may_do(role: str, may: str) -> None:
    by = By("per_1", "Alice", Role(role), "acc_acme", scopes=SCOPES[Role(role)])
    assert {scope for scope in Scope if by.may(scope)} == {Scope(scope) for scope in may.split(" ")}


@pytest.mark.table("""
    role      of        acc_acme  acc_globex
    operator  -         yes       yes
    owner     acc_acme  yes       no
    viewer    acc_acme  yes       no
    broker    acc_acme  yes       no
    broker    -         no        no
""")
def test_another_accounts_things_do_not_exist(role: str, of: str, acc_acme: str, acc_globex: str) -> None:
    by = By("per_1", "Mallory", Role(role), of or None, scopes=SCOPES[Role(role)])
    assert by.sees("acc_acme") is (acc_acme == "yes")
    assert by.sees("acc_globex") is (acc_globex == "yes")


def test_every_role_has_its_scopes_and_the_platform_has_all() -> None:
    assert set(SCOPES) == set(Role)
    assert all(PLATFORM.may(scope) for scope in Scope)


def test_a_token_may_have_fewer_scopes_than_its_role() -> None:
    by = By("tok_1", "nightly export", Role.OWNER, "acc_acme", scopes=frozenset({Scope.READ}))
    assert by.may(Scope.READ)
    assert not by.may(Scope.MANAGE)
    assert not by.may(Scope.INGEST)
    assert replace(by, scopes=frozenset({Scope.MANAGE})).may(Scope.INGEST), "who manages devices reports for them"
