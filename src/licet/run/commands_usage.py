"""What was used, on the command line; and `licet reconcile`: a day is counted again, and held against the books."""

import asyncio
from dataclasses import replace
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import typer

from licet.allowances import Usage
from licet.broker.heads import ReadingError
from licet.broker.recount import Recounted, differences, recount_from
from licet.postgres import shifts, usage
from licet.postgres.books import Books
from licet.postgres.usage import CountedOn
from licet.refusals import Refused
from licet.run import data_folder, key_file, run_file
from licet.run.asking import Ask, Limit, OfAccount, OfProduct, asking
from licet.run.config import Resolved, Settings
from licet.run.flags import with_settings
from licet.run.tables import print_many

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
_COLUMNS = {
    "product": "product_key",
    "device": "device_key",
    "books up": "books.up",
    "books down": "books.down",
    "streams up": "streams.up",
    "streams down": "streams.down",
    "difference": "difference",
}


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("usage")(usage_command)
    app.command("reconcile")(reconcile_command)


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


@with_settings
def reconcile_command(
    said: Resolved,
    day: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="A day of the accounts' calendars.")],
    account: Annotated[str | None, typer.Option("--account", metavar="ID", help="Only this account's.")] = None,
) -> None:
    """Count a day's messages again from the streams, and print where the books say otherwise: nowhere.

    It goes as far back as messages are stored. Use that was reported from outside is in the books alone, and what was
    counted before an account changed its time zone lies in the days of the old one.
    """
    try:
        counted, recounted = asyncio.run(_both(_reached(said.settings), day.date(), account))
    except (Refused, key_file.KeyFileError, ReadingError) as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(1) from None
    if found := differences(counted.used, recounted):
        print_many(found, _COLUMNS)
        raise typer.Exit(1)
    messages = sum(map(sum, recounted.values()))
    typer.echo(f"no difference: {messages} messages of {len(recounted)} devices on {day:%Y-%m-%d}")


async def _both(settings: Settings, on: date, account_id: str | None) -> tuple[CountedOn, Recounted]:
    async with Books.open(settings.database_url, key_file.load(settings.key_file), connections=1) as books:
        counted, shifted = await usage.counted_on(books, on, account_id), await shifts.read(books)
    urls = [url.strip() for url in settings.nats_url.split(",")]
    return counted, await recount_from(urls, settings.nats_password, on, counted, shifted)


def _reached(settings: Settings) -> Settings:
    running = run_file.read(settings.data) or {}
    database_url = settings.database_url or running.get("database_url", "")
    nats_url = settings.nats_url or running.get("nats_url", "")
    if not database_url or not nats_url:
        typer.echo(f"licet does not run on {settings.data}: start it with ./licet up", err=True)
        raise typer.Exit(1)
    return replace(data_folder.complete(settings), database_url=database_url, nats_url=nats_url)
