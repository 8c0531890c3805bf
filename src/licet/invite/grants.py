"""What one may give to another: nothing that one may not do oneself."""

from collections.abc import Set as AbstractSet

from licet.accounts import By, Role, Scope
from licet.refusals import Reason, Refused


def check_grant(by: By, account_id: str | None, scopes: AbstractSet[Scope]) -> None:
    """Raises unless whoever asks may hand out these scopes in that account (None: over all of them)."""
    if account_id is not None and not by.sees(account_id):
        raise Refused(Reason.NOT_FOUND, thing="account")
    missing = scopes - by.scopes
    if account_id is None and not by.may(Scope.OPERATE):
        missing |= {Scope.OPERATE}
    if missing:
        raise Refused(Reason.NOT_PERMITTED, who=by.name, scope=", ".join(sorted(missing)))


def sees(by: By, account_id: str | None) -> bool:
    """Whether what belongs to that account exists for whoever asks. What belongs to none exists for operators alone."""
    return by.role is Role.OPERATOR if account_id is None else by.sees(account_id)
