"""Packages and codes on the command line: define a package, credit a purchase, assign what is unassigned."""

from typing import Annotated

import typer

from licet.run.api_client import misused
from licet.run.asking import (
    AccountNamed,
    Ask,
    Limit,
    OfAccount,
    OfProduct,
    PackageNamed,
    ProductKey,
    asking,
    asking_once,
)
from licet.units import DayCount

packages = typer.Typer(help="What one code allows, and for how long.", no_args_is_help=True)

_PACKAGE = {
    "id": "id",
    "name": "name",
    "term": "term",
    "day count": "day_count",
    "messages per day": "messages_per_day",
    "OTA per month": "ota_per_month",
    "storage days": "storage_days",
}
_LOT = {
    "id": "id",
    "order": "order_reference",
    "origin": "origin",
    "quantity": "quantity",
    "assigned": "assigned",
    "package": "package_id",
    "account": "account_id",
    "product": "product_key",
    "use by": "use_by",
    "credited": "credited_at",
}
_ASSIGNMENT = {
    "id": "id",
    "product": "product_key",
    "name": "product_name",
    "package": "package.name",
    "quantity": "quantity",
    "assigned": "assigned_at",
    "by": "assigned_by",
}


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(packages, name="packages")
    app.command("credit")(credit_command)
    app.command("lots")(lots_command)
    app.command("assign")(assign_command)
    app.command("assignments")(assignments_command)


@packages.command("list")
@asking
def list_packages(ask: Ask, *, limit: Limit = 200) -> None:
    """List all packages, by name."""
    ask.tell_many(ask.licet.listed("packages", limit=limit), _PACKAGE)


@packages.command("define")
@asking_once
def define_package(
    ask: Ask,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")],
    term: Annotated[
        str, typer.Argument(metavar="TERM", help="How long a code is valid, from a device's first connect: P5Y, P90D.")
    ],
    *,
    messages_per_day: Annotated[int, typer.Option("--messages-per-day", min=0, help="Of each device, up and down.")],
    ota_per_month: Annotated[
        int, typer.Option("--ota-per-month", min=0, help="OTA upgrades of each device, 5 MB each.")
    ],
    storage_days: Annotated[int, typer.Option("--storage-days", min=0, help="How long its data is stored.")],
    day_count: Annotated[
        DayCount, typer.Option("--day-count", help="How months are turned into days.")
    ] = DayCount.CALENDAR,
) -> None:
    """Define a package. It never changes: a product is upgraded to another one instead."""
    defined = ask.licet.post(
        "packages",
        name=name,
        term=term,
        day_count=day_count,
        messages_per_day=messages_per_day,
        ota_per_month=ota_per_month,
        storage_days=storage_days,
    )
    ask.tell(defined, _PACKAGE)


@asking_once
def credit_command(
    ask: Ask,
    account: AccountNamed,
    package: PackageNamed,
    quantity: Annotated[int, typer.Argument(metavar="QUANTITY", min=1, help="How many codes.")],
    *,
    order: Annotated[str, typer.Option("--order", metavar="REFERENCE", help="The order; it is credited once.")],
    product: Annotated[
        str | None, typer.Option("--product", metavar="PK", help="Straight to this product; else they are unassigned.")
    ] = None,
    use_by: Annotated[
        str | None, typer.Option("--use-by", metavar="INSTANT", help="RFC 3339; what is not consumed by then is gone.")
    ] = None,
) -> None:
    """Credit a purchase to an account. The same order again, for the same codes, is the same lot."""
    credited = ask.licet.post(
        "lots",
        account_id=ask.account_id(account),
        product_key=product,
        package_id=ask.package_id(package),
        quantity=quantity,
        order_reference=order,
        use_by=use_by,
    )
    ask.tell(credited, _LOT)


@asking
def lots_command(ask: Ask, *, account: OfAccount = None, limit: Limit = 50) -> None:
    """List lots, purchases and free codes, the latest first."""
    ask.tell_many(ask.licet.listed("lots", limit=limit, account_id=ask.account_id_if(account)), _LOT)


@asking_once
def assign_command(
    ask: Ask,
    product: ProductKey,
    package: PackageNamed,
    quantity: Annotated[
        int | None, typer.Argument(metavar="QUANTITY", min=1, help="How many codes; not with --dry-run.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the most that could be assigned.")] = False,
) -> None:
    """Assign unassigned codes to a product, all or none. This cannot be undone: look with --dry-run first."""
    if dry_run != (quantity is None):
        raise misused("Say how many codes, or --dry-run to see how many could be assigned.")
    package_id = ask.package_id(package)
    if dry_run:
        most = ask.licet.get("assignments", dry_run=True, product_key=product, package_id=package_id)
        ask.tell(most, {"product": "product_key", "package": "package_id", "maximum": "maximum"})
        return
    assigned = ask.licet.post("assignments", product_key=product, package_id=package_id, quantity=quantity)
    ask.tell(assigned, _ASSIGNMENT)
    ask.remark("An assignment cannot be undone.")


@asking
def assignments_command(ask: Ask, *, product: OfProduct = None, account: OfAccount = None, limit: Limit = 50) -> None:
    """List every assignment, the latest first: product, quantity, package, time, who."""
    found = ask.licet.listed("assignments", limit=limit, product_key=product, account_id=ask.account_id_if(account))
    ask.tell_many(found, _ASSIGNMENT)
