"""What programs sign in with. A token is random and kept as its hash; it is shown once, when it is issued."""

from collections.abc import Iterable
from datetime import datetime

from licet.accounts import Role, Scope, Token
from licet.postgres.books import Books, Row
from licet.postgres.queries import queries

_sql = queries("tokens")


async def insert_token(
    books: Books,
    *,
    account_id: str | None,
    name: str,
    role: Role,
    scopes: Iterable[Scope],
    token: bytes,
    issued_by: str,
    expires_at: datetime | None,
    now: datetime,
) -> Token:
    rows = await books.all(
        _sql.insert_token,
        account_id=account_id,
        name=name,
        role=role.value,
        scopes=sorted(scope.value for scope in scopes),
        hash=token,
        issued_by=issued_by,
        expires_at=expires_at,
        now=now,
    )
    return _token(rows[0])


async def holder(books: Books, token: bytes, *, now: datetime) -> Token | None:
    """Whose hash this is, while the token is good."""
    row = await books.one(_sql.holder, hash=token, now=now)
    return _token(row) if row else None


async def get(books: Books, token_id: str) -> Token | None:
    row = await books.one(_sql.get, token_id=token_id)
    return _token(row) if row else None


async def page(books: Books, account_id: str | None, *, after: str | None, limit: int) -> list[Token]:
    """By id: of one account, or (None) of all; ``after`` is the id of the last token seen."""
    return [_token(row) for row in await books.all(_sql.page, account_id=account_id, after=after, limit=limit)]


async def revoke(books: Books, token_id: str, *, now: datetime) -> bool:
    return await books.run(_sql.revoke, token_id=token_id, now=now) == 1


async def revoke_named(books: Books, name: str, *, now: datetime) -> int:
    """How many tokens of that name, of no account, were good until now."""
    return await books.run(_sql.revoke_named, name=name, now=now)


def _token(row: Row) -> Token:
    token_id, account_id, name, role, scopes, issued_at, expires_at, revoked_at = row
    granted = frozenset(Scope(scope) for scope in scopes)
    return Token(token_id, account_id, name, Role(role), granted, issued_at, expires_at, revoked_at)
