"""Invite: the people and programs of an account, and how they come in.

``people`` says who belongs to an account and as what; ``sessions`` how a person signs in, and out; ``tokens`` what
programs sign in with. Nobody can give another more than they may do themselves.
"""

from licet.invite.people import change_role, invite, operator, remove_person
from licet.invite.sessions import (
    Begun,
    by_person,
    set_password,
    sign_in_by_link,
    sign_in_by_password,
    sign_in_link,
    sign_out,
    signed_in,
)
from licet.invite.tokens import by_token, issue_operator_token, issue_token, revoke_token, token_holder

__all__ = [
    "Begun",
    "by_person",
    "by_token",
    "change_role",
    "invite",
    "issue_operator_token",
    "issue_token",
    "operator",
    "remove_person",
    "revoke_token",
    "set_password",
    "sign_in_by_link",
    "sign_in_by_password",
    "sign_in_link",
    "sign_out",
    "signed_in",
    "token_holder",
]
