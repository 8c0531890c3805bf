"""The month on the command line: close it, top it up, read what it came to and what it is made of."""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from licet.allowances import Usage
from licet.close import Closing, close
from licet.postgres import accounts, statements
from licet.postgres.books import Books
from licet.refusals import Reason, Refused
from licet.run.api_client import misused
from licet.run.asking import AccountNamed, Ask, Limit, asking, asking_once
from licet.run.clock import Clock
from licet.run.config import Resolved
from licet.run.flags import with_settings
from licet.run.on_books import on_books
from licet.run.tables import print_many

_TOPUP = {
    "id": "id",
    "kind": "kind",
    "origin": "origin",
    "quantity": "quantity",
    "left": "left",
    "reference": "reference",
    "expires": "expires_at",
    "bought": "bought_at",
}
_ENTRY = {
    "id": "id",
    "at": "at",
    "type": "type",
    "quantity": "quantity",
    "balance": "balance",
    "month": "month",
    "reference": "reference",
}
_HEAD = {
    "account": "account_id",
    "month": "month",
    "time zone": "time_zone",
    "billing": "billing",
    "settlement": "settlement",
    "closed": "closed_at",
}
_CHARGES = {
    f"{kind.value} {figure}": f"kinds.{kind.value}.{figure}"
    for kind in Usage
    for figure in ("excess", "settled", "owed")
}
_IN_A_LIST = {
    "month": "month",
    "billing": "billing",
    "settlement": "settlement",
    **{f"{kind.value} {figure}": f"kinds.{kind.value}.{figure}" for kind in Usage for figure in ("excess", "owed")},
}
_PART = {
    "from": "from_month",
    "product": "product_key",
    "device": "device_key",
    "on": "on",
    "used": "used",
    "allowance": "allowance",
    "excess": "excess",
}
_CLOSED = {"month": "month", "kind": "kind", "excess": "excess", "settled": "settled", "owed": "owed"}

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)

Month = Annotated[str, typer.Argument(metavar="YYYY-MM", help="A month.")]
KindNamed = Annotated[Usage, typer.Argument(metavar="KIND", help="messages, ota or storage.")]
Quantity = Annotated[int, typer.Argument(metavar="QUANTITY", min=1, help="How many units.")]
Csv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write it as CSV into this file; - is the screen.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("close")(close_command)
    app.command("topup")(topup_command)
    app.command("ledger")(ledger_command)
    app.command("statement")(statement_command)
    app.command("pay")(pay_command)


@with_settings
def close_command(
    said: Resolved,
    month: Annotated[
        str | None, typer.Argument(metavar="[YYYY-MM]", help="The last month to close; all that are over, if not said.")
    ] = None,
    *,
    account: Annotated[str | None, typer.Option("--account", metavar="ID", help="Only this account.")] = None,
) -> None:
    """Close every month that is over and not closed. licet does so by itself; again changes nothing."""
    clock = Clock(said.settings.now)
    through = None if month is None else _month(month)

    async def work(books: Books) -> None:
        if account is not None and await accounts.get(books, account) is None:
            raise Refused(Reason.NOT_FOUND, thing="account")
        now, asked = clock(), None if account is None else [account]
        due = await statements.months_due(books, asked, through=through, now=now)
        with _bar() as bar:
            task = bar.add_task("closing", total=due)
            closing = await close(
                books,
                through=through,
                account_id=account,
                told=lambda closed: bar.update(task, completed=closed),
                now=now,
            )
        _sum_up(closing)

    on_books(said.settings, work)


def _bar() -> Progress:
    """On a terminal; where nobody looks there is none."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


def _sum_up(closing: Closing) -> None:
    rows = [
        {
            "month": f"{month:%Y-%m}",
            "kind": kind.value,
            "excess": excess,
            "settled": excess - closing.owed[month, kind],
            "owed": closing.owed[month, kind],
        }
        for (month, kind), excess in sorted(closing.excess.items())
    ]
    if rows:
        print_many(rows, _CLOSED)
    typer.echo(f"{closing.statements} statements closed" if closing.statements != 1 else "1 statement closed")


@asking_once
def topup_command(
    ask: Ask,
    account: AccountNamed,
    kind: KindNamed,
    quantity: Quantity,
    *,
    reference: Annotated[str, typer.Option("--reference", help="The order; it is credited once.")],
    gift: Annotated[bool, typer.Option("--gift", help="It was given, not bought.")] = False,
    expires_at: Annotated[
        str | None, typer.Option("--expires-at", metavar="INSTANT", help="RFC 3339; what is left by then is gone.")
    ] = None,
) -> None:
    """Credit a top-up to an account. It pays open bills at once, the oldest first."""
    bought = ask.licet.post(
        "topups",
        account_id=ask.account_id(account),
        kind=kind,
        quantity=quantity,
        origin="gift" if gift else "purchase",
        reference=reference,
        expires_at=expires_at,
    )
    ask.tell(bought, _TOPUP)


@asking
def ledger_command(ask: Ask, account: AccountNamed, kind: KindNamed, *, csv: Csv = None, limit: Limit = 50) -> None:
    """Show an account's balance of one kind of top-up, and why it is what it is: the latest row first."""
    account_id = ask.account_id(account)
    if csv is not None:
        _write(csv, ask.licet.file("ledger", kind.value, account_id=account_id, format="csv"))
        return
    if not ask.as_json:
        stands = ask.licet.get("ledger", kind.value, account_id=account_id, limit=1).said
        typer.echo(f"balance {stands['balance']}")
    ask.tell_many(ask.licet.listed("ledger", kind.value, limit=limit, account_id=account_id), _ENTRY)


@asking
def statement_command(
    ask: Ask,
    account: AccountNamed,
    month: Annotated[
        str | None, typer.Argument(metavar="[YYYY-MM]", help="A month; the last twelve if not said.")
    ] = None,
    *,
    of: Annotated[Usage | None, typer.Option("--of", help="What this kind of it is made of.")] = None,
    by: Annotated[Literal["product", "device", "day"], typer.Option("--by", help="How that is parted.")] = "product",
    product: Annotated[str | None, typer.Option("--product", metavar="PK", help="Only of this product.")] = None,
    device: Annotated[str | None, typer.Option("--device", metavar="DK", help="Only of this device of it.")] = None,
    csv: Csv = None,
    limit: Limit = 200,
) -> None:
    """Show what months came to, or one month, or what that is made of: down to the device and the day."""
    account_id = ask.account_id(account)
    if month is None:
        if of is not None:
            raise misused("Say of which month.")
        _list(ask, account_id, csv)
        return
    _month(month)
    path = ("statements", account_id, month, *([of.value] if of is not None else []))
    parted = {"by": by, "product_key": product, "device_key": device} if of is not None else {}
    if csv is not None:
        _write(csv, ask.licet.file(*path, **parted, format="csv"))
    elif of is not None:
        ask.tell_many(ask.licet.listed(*path, limit=limit, **parted), _PART)
    else:
        told = ask.licet.get(*path)
        ask.tell(told, _HEAD | _CHARGES)
        for line in told.said["lines"]:
            if line["from_month"] != month:
                ask.remark(f"{line['excess']} {line['kind']} are from {line['from_month']}, and were counted later.")


def _list(ask: Ask, account_id: str, csv: Path | None) -> None:
    if csv is not None:
        _write(csv, ask.licet.file("statements", account_id=account_id, format="csv"))
    else:
        ask.tell_many(ask.licet.get("statements", account_id=account_id), _IN_A_LIST)


@asking_once
def pay_command(
    ask: Ask,
    account: AccountNamed,
    month: Month,
    kind: KindNamed,
    quantity: Quantity,
    *,
    reference: Annotated[str, typer.Option("--reference", help="The payment; it is noted once.")],
) -> None:
    """Mark so many units of a bill as paid, all that is owed or a part."""
    _month(month)
    path = ("statements", ask.account_id(account), month, "payments")
    ask.tell(ask.licet.post(*path, kind=kind, quantity=quantity, reference=reference), _HEAD | _CHARGES)


def _month(text: str) -> date:
    if found := _MONTH.fullmatch(text):
        return date(int(found[1]), int(found[2]), 1)
    raise typer.BadParameter(f"“{text}” is no month: say YYYY-MM, like 2026-02.")


def _write(into: Path, text: str) -> None:
    if str(into) == "-":
        typer.echo(text, nl=False)
    else:
        into.write_text(text, "utf-8", newline="")
