"""Products on the command line, and the devices of theirs that do not renew."""

from typing import Annotated

import typer

from licet.products import RenewalPolicy
from licet.run.asking import Ask, Limit, OfAccount, PackageNamed, ProductKey, Yes, asking, asking_once, something, sure

products = typer.Typer(help="What devices belong to: one package, one pool of codes.", no_args_is_help=True)
no_renewal = typer.Typer(help="Devices that do not renew: they go offline when they expire.", no_args_is_help=True)

_IN_A_LINE = {
    "key": "product_key",
    "name": "name",
    "Total": "codes.total",
    "Available": "codes.available",
    "Consumed": "codes.consumed",
    "package": "package.name",
    "account": "account_id",
}
_PRODUCT = _IN_A_LINE | {
    "auto renewal": "auto_renewal",
    "renewal policy": "renewal_policy",
    "dynamic authentication": "dynamic_authentication",
    "created": "created_at",
}
_SECRET = {"secret": "product_secret"}

_DeviceKeys = Annotated[list[str], typer.Argument(metavar="DK...", help="The keys of devices.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(products, name="products")
    app.add_typer(no_renewal, name="no-renewal")


@products.command("list")
@asking
def list_products(
    ask: Ask,
    *,
    account: OfAccount = None,
    search: Annotated[str | None, typer.Option("--search", help="Part of the name, or how the key begins.")] = None,
    limit: Limit = 200,
) -> None:
    """List products and what they have: Total, Available, Consumed."""
    found = ask.licet.listed("products", limit=limit, account_id=ask.account_id_if(account), search=search)
    ask.tell_many(found, _IN_A_LINE)


@products.command("create")
@asking_once
def create_product(
    ask: Ask,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")],
    *,
    account: OfAccount = None,
) -> None:
    """Create a product; an operator says for which account. Its secret is shown this once."""
    created = ask.licet.post("products", name=name, account_id=ask.account_id_if(account))
    ask.tell(created, _PRODUCT | _SECRET)
    ask.remark("The secret is shown this once.")


@products.command("show")
@asking
def show_product(ask: Ask, product: ProductKey) -> None:
    """Show a product, its codes and its settings."""
    ask.tell(ask.licet.get("products", product), _PRODUCT)


@products.command("change")
@asking
def change_product(
    ask: Ask,
    product: ProductKey,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    auto_renewal: Annotated[
        bool | None, typer.Option("--auto-renewal/--no-auto-renewal", help="Devices that expire consume the next code.")
    ] = None,
    renewal_policy: Annotated[
        RenewalPolicy | None, typer.Option("--renewal-policy", help="At the instant of expiry, or at the next connect.")
    ] = None,
    dynamic_authentication: Annotated[
        bool | None,
        typer.Option(
            "--dynamic-authentication/--no-dynamic-authentication", help="Devices may register with its secret."
        ),
    ] = None,
) -> None:
    """Change what is given, and nothing else."""
    changes = something(
        name=name,
        auto_renewal=auto_renewal,
        renewal_policy=renewal_policy,
        dynamic_authentication=dynamic_authentication,
    )
    ask.tell(ask.licet.patch("products", product, **changes), _PRODUCT)


@products.command("upgrade")
@asking_once
def upgrade_product(
    ask: Ask,
    product: ProductKey,
    package: PackageNamed,
    *,
    force: Annotated[bool, typer.Option("--force", help="An operator may also take something away.")] = False,
) -> None:
    """Give a product another package: all its devices and all its unconsumed codes, at once."""
    upgraded = ask.licet.post("products", product, "upgrade", package_id=ask.package_id(package), force=force)
    ask.tell(upgraded, _PRODUCT)


@products.command("reset-secret")
@asking_once
def reset_product_secret(ask: Ask, product: ProductKey, *, yes: Yes = False) -> None:
    """Give a product another secret, shown this once. Devices that have their own are not concerned."""
    sure(f"Give {product} another secret? Devices that have not registered yet need the new one.", yes)
    ask.tell(ask.licet.post("products", product, "secret"), {"key": "product_key"} | _SECRET)
    ask.remark("The secret is shown this once.")


@products.command("delete")
@asking
def delete_product(ask: Ask, product: ProductKey, *, yes: Yes = False) -> None:
    """Delete a product. Its codes are forfeited, and its devices connect no more."""
    if not yes:
        found = ask.licet.get("products", product).said
        codes = found["codes"]["available"]
        sure(f"Delete {found['name']} ({product}), forfeit {codes} available codes, let its devices in no more?", yes)
    ask.licet.delete("products", product)
    ask.remark(f"{product} is deleted.")


@no_renewal.command("list")
@asking
def list_no_renewal(ask: Ask, product: ProductKey, *, limit: Limit = 200) -> None:
    """List the devices of a product that do not renew."""
    found = ask.licet.listed("products", product, "no-renewal", limit=limit)
    ask.tell_many(found, {"device": "device_key", "since": "listed_at"})


@no_renewal.command("add")
@asking
def stop_renewing(ask: Ask, product: ProductKey, devices: _DeviceKeys) -> None:
    """Put devices on the list: they do not renew any more."""
    for device in devices:
        ask.licet.put("products", product, "no-renewal", device)
        ask.remark(f"{device} does not renew.")


@no_renewal.command("remove")
@asking
def resume_renewing(ask: Ask, product: ProductKey, devices: _DeviceKeys) -> None:
    """Take devices off the list: they renew again."""
    for device in devices:
        ask.licet.delete("products", product, "no-renewal", device)
        ask.remark(f"{device} renews.")
