"""Accounts, their people and their tokens, on the command line."""

from typing import Annotated

import typer

from licet.accounts import Kind, Mode, Role, Scope
from licet.run.api_client import Answer
from licet.run.asking import AccountNamed, Ask, Limit, OfAccount, Yes, asking, asking_once, something, sure

accounts = typer.Typer(help="Who owns products and pays for codes.", no_args_is_help=True)
people = typer.Typer(help="Who signs in to the console.", no_args_is_help=True)
tokens = typer.Typer(help="What programs sign in with.", no_args_is_help=True)

_ACCOUNT = {
    "id": "id",
    "name": "name",
    "kind": "kind",
    "mode": "mode",
    "time zone": "time_zone",
    "data centre": "data_center",
    "opened": "opened_at",
}
_COUNTERS = {
    "Total": "codes.total",
    "Available": "codes.available",
    "Consumed": "codes.consumed",
    "unassigned": "codes.unassigned",
    "near expiry": "codes.near_expiry",
}
_PERSON = {
    "id": "id",
    "e-mail": "email",
    "name": "name",
    "role": "role",
    "account": "account_id",
    "invited": "invited_at",
}
_TOKEN = {
    "id": "id",
    "name": "name",
    "role": "role",
    "scopes": "scopes",
    "account": "account_id",
    "issued": "issued_at",
    "expires": "expires_at",
    "revoked": "revoked_at",
}

_Name = Annotated[str | None, typer.Option("--name", help="Another name.")]
_TimeZone = Annotated[str | None, typer.Option("--time-zone", metavar="ZONE", help="Whose days count: Europe/Berlin.")]
_Mode = Annotated[Mode | None, typer.Option("--mode", help="Beyond the allowance: charge the excess, or block.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for name, group in (("accounts", accounts), ("people", people), ("tokens", tokens)):
        app.add_typer(group, name=name)


@accounts.command("list")
@asking
def list_accounts(
    ask: Ask,
    *,
    search: Annotated[str | None, typer.Option("--search", help="Part of the name.")] = None,
    limit: Limit = 200,
) -> None:
    """List accounts: an operator's command; anybody else sees their own."""
    ask.tell_many(ask.licet.listed("accounts", limit=limit, search=search), _ACCOUNT)


@accounts.command("open")
@asking_once
def open_account(
    ask: Ask,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")],
    *,
    kind: Annotated[Kind, typer.Option("--kind", help="An enterprise is given more free codes.")] = Kind.ENTERPRISE,
    time_zone: _TimeZone = None,
    mode: _Mode = None,
) -> None:
    """Open an account; it is given its free codes."""
    ask.tell(ask.licet.post("accounts", name=name, kind=kind, time_zone=time_zone, mode=mode), _ACCOUNT)


@accounts.command("show")
@asking
def show_account(ask: Ask, account: AccountNamed) -> None:
    """Show an account and its counters: Total = Available + Consumed, and unassigned codes are in the first two."""
    account_id = ask.account_id(account)
    shown = ask.licet.get("accounts", account_id)
    codes = ask.licet.get("accounts", account_id, "codes")
    ask.tell(Answer.of({"account": shown.said, "codes": codes.said}), _inside("account", _ACCOUNT) | _COUNTERS)


@accounts.command("change")
@asking
def change_account(
    ask: Ask,
    account: AccountNamed,
    *,
    name: _Name = None,
    kind: Annotated[Kind | None, typer.Option("--kind", help="An individual may become an enterprise.")] = None,
    time_zone: _TimeZone = None,
    mode: _Mode = None,
) -> None:
    """Change what is given, and nothing else."""
    changes = something(name=name, kind=kind, time_zone=time_zone, mode=mode)
    ask.tell(ask.licet.patch("accounts", ask.account_id(account), **changes), _ACCOUNT)


@people.command("list")
@asking
def list_people(ask: Ask, *, account: OfAccount = None, limit: Limit = 200) -> None:
    """List the people of an account; for an operator everybody."""
    ask.tell_many(ask.licet.listed("people", limit=limit, account_id=ask.account_id_if(account)), _PERSON)


@people.command("invite")
@asking_once
def invite_person(
    ask: Ask,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="With this they sign in.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What they are called.")],
    *,
    role: Annotated[Role, typer.Option("--role", help="What they may do; a broker is no person.")] = Role.VIEWER,
    account: OfAccount = None,
) -> None:
    """Let a person sign in, at first with a link: `licet people link`."""
    invited = ask.licet.post("people", email=email, name=name, role=role, account_id=ask.account_id_if(account))
    ask.tell(invited, _PERSON)
    ask.remark(f"licet people link {invited.said['id']} makes the link with which they sign in first.")


@people.command("link")
@asking_once
def link_person(ask: Ask, person: Annotated[str, typer.Argument(metavar="PERSON", help="A person's id.")]) -> None:
    """Make a link that signs a person in, once."""
    ask.tell(ask.licet.post("people", person, "sign-in-links"), {"link": "url", "good until": "expires_at"})


@tokens.command("list")
@asking
def list_tokens(ask: Ask, *, account: OfAccount = None, limit: Limit = 200) -> None:
    """List tokens, also those that have ended; what programs show is not kept and not listed."""
    ask.tell_many(ask.licet.listed("tokens", limit=limit, account_id=ask.account_id_if(account)), _TOKEN)


@tokens.command("issue")
@asking_once
def issue_token(
    ask: Ask,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which program it is for.")],
    *,
    role: Annotated[Role, typer.Option("--role", help="What the program may do.")],
    account: OfAccount = None,
    scopes: Annotated[list[Scope] | None, typer.Option("--scope", help="Less than the role may; repeat it.")] = None,
    expires_at: Annotated[
        str | None, typer.Option("--expires-at", metavar="INSTANT", help="RFC 3339; if not said, it does not end.")
    ] = None,
) -> None:
    """Issue a token; it is shown this once."""
    issued = ask.licet.post(
        "tokens",
        name=name,
        role=role,
        account_id=ask.account_id_if(account),
        scopes=scopes or None,
        expires_at=expires_at,
    )
    ask.tell(issued, _TOKEN | {"token": "token"})
    ask.remark("The token is shown this once.")


@tokens.command("revoke")
@asking
def revoke_token(
    ask: Ask, token: Annotated[str, typer.Argument(metavar="TOKEN", help="A token's id.")], *, yes: Yes = False
) -> None:
    """End a token now."""
    sure(f"End the token {token} now? Programs that use it are let in no more.", yes)
    ask.licet.delete("tokens", token)
    ask.remark(f"The token {token} has ended.")


def _inside(name: str, columns: dict[str, str]) -> dict[str, str]:
    return {heading: f"{name}.{place}" for heading, place in columns.items()}
