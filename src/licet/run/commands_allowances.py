"""What was used of allowances, on the command line: messages, OTA upgrades, storage."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from licet.allowances import Usage
from licet.run.asking import Ask, Limit, OfAccount, OfProduct, asking

_USED = {
    "on": "on",
    "product": "product_key",
    "device": "device_key",
    "used": "used",
    "covered": "covered",
    "excess": "excess",
    "up": "up",
    "down": "down",
    "bytes": "bytes",
    "allowance": "allowance",
}


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("usage")(usage_command)


class Period(StrEnum):
    DAY = "day"
    MONTH = "month"


class Whose(StrEnum):
    TOTAL = "total"
    PRODUCT = "product"
    DEVICE = "device"


@asking
def usage_command(
    ask: Ask,
    kind: Annotated[Usage, typer.Argument(metavar="KIND", help="messages, ota or storage.")],
    *,
    account: OfAccount = None,
    product: OfProduct = None,
    device: Annotated[str | None, typer.Option("--device", metavar="DK", help="A device of that product.")] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="Month to date if not said.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Up to and with this day.")
    ] = None,
    by: Annotated[Period, typer.Option("--by", help="A line for each of them.")] = Period.DAY,
    whose: Annotated[Whose, typer.Option("--whose", help="In total, or of each.")] = Whose.TOTAL,
    limit: Limit = 400,
) -> None:
    """Show what was used, what an allowance covered, and what is excess; by days of the account's calendar."""
    found = ask.licet.listed(
        "usage",
        kind.value,
        limit=limit,
        account_id=ask.account_id_if(account),
        product_key=product,
        device_key=device,
        **{"from": first and first.date(), "to": last and last.date()},
        by=by,
        whose=whose,
    )
    ask.tell_many(found, _columns(found.said["data"]))


def _columns(used: list[dict[str, object]]) -> dict[str, str]:
    """What is said of this kind, and of nobody in particular or of whom."""
    always = {"on", "used", "covered", "excess"}
    return {
        name: place
        for name, place in _USED.items()
        if place in always or any(each.get(place) is not None for each in used)
    }
