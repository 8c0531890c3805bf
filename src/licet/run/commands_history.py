"""What was changed and what has happened, on the command line: the audit log and the events."""

from typing import Annotated

import typer

from licet.events import Kind
from licet.run.asking import Ask, Limit, OfAccount, OfProduct, asking

_CHANGE = {
    "at": "at",
    "by": "by_name",
    "from": "address",
    "act": "act",
    "subject": "subject",
    "account": "account_id",
    "before": "before",
    "after": "after",
}
_EVENT = {
    "id": "id",
    "at": "at",
    "event": "kind",
    "account": "account_id",
    "product": "product_key",
    "facts": "facts",
}

_Instant = Annotated[str | None, typer.Option(metavar="INSTANT", help="RFC 3339, like 2026-02-01T08:00:00Z.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("audit")(audit_command)
    app.command("events")(events_command)


@asking
def audit_command(
    ask: Ask,
    *,
    account: OfAccount = None,
    by: Annotated[str | None, typer.Option("--by", metavar="ID", help="A person's or token's id.")] = None,
    act: Annotated[str | None, typer.Option("--act", help="What was done, as the log calls it.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="To what: an id or a product's key.")] = None,
    since: _Instant = None,
    until: _Instant = None,
    limit: Limit = 50,
) -> None:
    """Show the audit log, the latest first: who changed what, before and after, when, from where."""
    found = ask.licet.listed(
        "audit",
        limit=limit,
        account_id=ask.account_id_if(account),
        by_id=by,
        act=act,
        subject=subject,
        since=since,
        until=until,
    )
    ask.tell_many(found, _CHANGE)


@asking
def events_command(
    ask: Ask,
    *,
    account: OfAccount = None,
    product: OfProduct = None,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only events of this kind.")] = None,
    limit: Limit = 50,
) -> None:
    """Show what has happened to products, codes and devices, the latest first."""
    found = ask.licet.listed(
        "events", limit=limit, account_id=ask.account_id_if(account), product_key=product, kind=kind
    )
    ask.tell_many(found, _EVENT)
