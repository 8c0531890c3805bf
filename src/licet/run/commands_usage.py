"""`licet reconcile`: a day is counted again from the streams, and held against the books."""

import asyncio
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated

import typer

from licet.broker.heads import ReadingError
from licet.broker.recount import Recounted, differences, recount_from
from licet.postgres import shifts, usage
from licet.postgres.books import Books
from licet.postgres.usage import CountedOn
from licet.refusals import Refused
from licet.run import data_folder, key_file, run_file
from licet.run.config import Resolved, Settings
from licet.run.flags import with_settings
from licet.run.tables import print_many

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
    """Add the command to the command line."""
    app.command("reconcile")(reconcile_command)


@with_settings
def reconcile_command(
    said: Resolved,
    day: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="A day of the accounts' calendars.")],
    account: Annotated[str | None, typer.Option("--account", metavar="ID", help="Only this account's.")] = None,
) -> None:
    """Count a day's messages again from the streams, and print where the books say otherwise: nowhere.

    It goes as far back as messages are stored. Use that was reported from outside was never in a stream, and is left
    out; what was counted before an account changed its time zone lies in the days of the old one.
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
