"""Who may do what, and whose things exist for whom (§8)."""

import pytest

from licet.accounts import PLATFORM, SCOPES, By, Role, Scope


@pytest.mark.table("""
    role      read  manage  people  operate  admit
    operator  yes   yes     yes     yes      yes
    owner     yes   yes     yes     no       no
    member    yes   yes     no      no       no
    viewer    yes   no      no      no       no
    broker    no    no      no      no       yes
""")
def test_what_each_role_may_do(role: str, read: str, manage: str, people: str, operate: str, admit: str) -> None:
    by = By("per_1", "Alice", Role(role), "acc_acme", scopes=SCOPES[Role(role)])
    cells = zip(Scope, (read, manage, people, operate, admit), strict=True)
    assert {scope: by.may(scope) for scope in Scope} == {scope: cell == "yes" for scope, cell in cells}


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
