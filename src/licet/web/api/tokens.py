"""Tokens: what programs sign in with. A token is shown once."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field, ValidationInfo, field_validator, model_validator

from licet import invite
from licet.accounts import OF_PROGRAMS, SCOPES, Role, Scope, Token
from licet.postgres import tokens
from licet.postgres.books import Books
from licet.web.api.people import account_of
from licet.web.fields import Asked, At, Id, IdInPath, Instant, Name, Told
from licet.web.once import once
from licet.web.paging import Page, Paged, page, place_of
from licet.web.session import Owning, OwningOnce

router = APIRouter(tags=["tokens"])


class TokenAsked(Asked):
    """``scopes``: less than what the role may do, if it is said. One of a broker or gateway may be for all accounts."""

    account_id: Id | None = None
    name: Name
    role: Role
    scopes: Annotated[list[Scope] | None, Field(min_length=1, max_length=len(Scope))] = None
    expires_at: Instant | None = None

    @field_validator("scopes")
    @classmethod
    def are_of_the_role(cls, scopes: list[Scope] | None, others: ValidationInfo) -> list[Scope] | None:
        role = others.data.get("role")
        if scopes is not None and role is not None and not SCOPES[role].issuperset(scopes):
            raise ValueError(f"the role {role} has the scopes {', '.join(sorted(SCOPES[role]))}")
        return scopes

    @model_validator(mode="after")
    def operators_belong_to_no_account(self) -> "TokenAsked":
        if self.role is Role.OPERATOR and self.account_id is not None:
            raise ValueError("an operator belongs to no account")
        return self


class TokenTold(Told):
    id: str
    account_id: str | None
    name: str
    role: Role
    scopes: list[Scope]
    issued_at: At
    expires_at: At | None
    revoked_at: At | None


class NewTokenTold(TokenTold):
    token: str = Field(description="Shown this once.")


class TokensAsked(Paged):
    account_id: Id | None = None


@router.post("/v1/tokens", status_code=201, response_model=NewTokenTold)
async def issue_token(asked: TokenAsked, ask: OwningOnce) -> Response:
    """Issue a token, for no more than whoever asks may do."""
    if asked.role is Role.OPERATOR:
        account_id = None
    elif asked.role in OF_PROGRAMS:
        account_id = ask.account(asked.account_id)
    else:
        account_id = account_of(ask, asked.account_id)

    async def work(books: Books) -> NewTokenTold:
        token, carried = await invite.issue_token(
            books,
            account_id=account_id,
            name=asked.name,
            role=asked.role,
            scopes=None if asked.scopes is None else frozenset(asked.scopes),
            expires_at=asked.expires_at,
            by=ask.by,
            now=ask.now,
        )
        return NewTokenTold(**dict(_told(token)), token=carried)

    return await once(ask, work)


@router.get("/v1/tokens")
async def list_tokens(asked: Annotated[TokensAsked, Query()], ask: Owning) -> Page[TokenTold]:
    """The tokens of an account, also those that have ended; for an operator all."""
    after = (place_of(ask, asked) or (None,))[0]
    found = await tokens.page(ask.books, ask.account(asked.account_id), after=after, limit=asked.limit + 1)
    return page(ask, asked, found, lambda each: (each.id,), _told)


@router.delete("/v1/tokens/{token_id}", status_code=204)
async def revoke_token(token_id: IdInPath, ask: Owning) -> None:
    """End a token now."""
    await invite.revoke_token(ask.books, token_id, by=ask.by, now=ask.now)


def _told(token: Token) -> TokenTold:
    return TokenTold(
        id=token.id,
        account_id=token.account_id,
        name=token.name,
        role=token.role,
        scopes=sorted(token.scopes),
        issued_at=token.issued_at,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
    )
