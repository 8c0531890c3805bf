"""What programs sign in with: random, shown once, and kept only as a hash."""

import hashlib
import secrets
from datetime import datetime

from licet.accounts import OF_PROGRAMS, SCOPES, By, Role, Scope, Token
from licet.invite.grants import check_grant, sees
from licet.postgres import accounts, audit, tokens
from licet.postgres.books import Books
from licet.refusals import Reason, Refused

#: How every token begins, so that one that leaks is recognised for what it is.
PREFIX = "licet_"


def by_token(token: Token, address: str | None) -> By:
    """Who asks, when a program does."""
    return By(token.id, token.name, token.role, token.account_id, address, token.scopes)


async def issue_token(
    books: Books,
    *,
    account_id: str | None,
    name: str,
    role: Role,
    scopes: frozenset[Scope] | None = None,
    expires_at: datetime | None = None,
    by: By,
    now: datetime,
) -> tuple[Token, str]:
    """Issue a token for an account, or (None) for the platform; for all that its role may do, or for less."""
    granted = SCOPES[role] if scopes is None else scopes & SCOPES[role]
    if (account_id is None) != (role is Role.OPERATOR) and role not in OF_PROGRAMS:
        raise ValueError(f"no token is {role} of {account_id or 'the platform'}")
    check_grant(by, account_id, granted)
    async with books.transaction() as bound:
        if account_id is not None and await accounts.get(bound, account_id) is None:
            raise Refused(Reason.NOT_FOUND, thing="account")
        carried = PREFIX + secrets.token_urlsafe(32)
        token = await tokens.insert_token(
            bound,
            account_id=account_id,
            name=name,
            role=role,
            scopes=granted,
            token=_hash(carried),
            issued_by=by.id,
            expires_at=expires_at,
            now=now,
        )
        after = {
            "name": name,
            "role": role.value,
            "scopes": sorted(scope.value for scope in granted),
            "expires_at": expires_at,
        }
        await audit.record(
            bound, by=by, act="issue token", subject=token.id, after=after, account_id=account_id, now=now
        )
        return token, carried


async def issue_operator_token(books: Books, *, name: str, by: By, now: datetime) -> str:
    """A token for everything, in place of the ones of that name that were issued before: those end now."""
    async with books.transaction() as bound:
        await tokens.revoke_named(bound, name, now=now)
        _, carried = await issue_token(bound, account_id=None, name=name, role=Role.OPERATOR, by=by, now=now)
        return carried


async def revoke_token(books: Books, token_id: str, *, by: By, now: datetime) -> Token:
    """End a token now. One that has ended already stays as it is."""
    async with books.transaction() as bound:
        token = await tokens.get(bound, token_id)
        if token is None or not sees(by, token.account_id):
            raise Refused(Reason.NOT_FOUND, thing="token")
        if await tokens.revoke(bound, token_id, now=now):
            await audit.record(bound, by=by, act="revoke token", subject=token_id, account_id=token.account_id, now=now)
        ended = await tokens.get(bound, token_id)
        assert ended is not None
        return ended


async def token_holder(books: Books, carried: str, *, now: datetime) -> Token | None:
    """Whose token that is, while it is good."""
    return await tokens.holder(books, _hash(carried), now=now)


def _hash(carried: str) -> bytes:
    return hashlib.sha256(carried.encode()).digest()
