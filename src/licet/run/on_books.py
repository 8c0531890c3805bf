"""Work on the books themselves, on the machine that licet runs on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import typer

from licet.postgres.books import Books
from licet.refusals import Refused
from licet.run import key_file, run_file
from licet.run.config import Settings


def on_books(settings: Settings, work: Callable[[Books], Awaitable[None]]) -> None:
    """Do the work with the books open. A refusal is said as everywhere, and exits with 1; so is a missing key file."""

    async def run() -> None:
        async with _books(reached(settings)) as books:
            await work(books)

    try:
        asyncio.run(run())
    except (Refused, key_file.KeyFileError) as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(1) from None


@asynccontextmanager
async def _books(settings: Settings) -> AsyncIterator[Books]:
    async with Books.open(settings.database_url, key_file.load(settings.key_file), connections=1) as books:
        yield books


def reached(settings: Settings) -> Settings:
    """The same settings, with what an `up` on this data folder says of where things are."""
    running = run_file.read(settings.data) or {}
    database_url = settings.database_url or running.get("database_url", "")
    if not database_url:
        typer.echo(f"licet does not run on {settings.data}: start it with ./licet up, or set a database URL", err=True)
        raise typer.Exit(1)
    return replace(settings, database_url=database_url, public_url=settings.public_url or running.get("public_url", ""))
