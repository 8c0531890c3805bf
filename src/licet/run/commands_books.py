"""Commands that work on the books themselves, on the machine that licet runs on: sweep, explain, keys, a way in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Annotated

import typer

from licet.accounts import PLATFORM
from licet.explain import explain
from licet.invite import operator, sign_in_link
from licet.postgres.books import Books
from licet.refusals import Refused
from licet.reseal import reseal
from licet.run import key_file, run_file
from licet.run.clock import Clock
from licet.run.config import Resolved, Settings
from licet.run.flags import with_settings
from licet.run.tables import print_one
from licet.sweep import sweep

_LINK_HOURS = 24

keys = typer.Typer(help="The keys that secrets are sealed with.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("explain")(explain_command)
    app.command("sweep")(sweep_command)
    app.command("link")(link_command)
    keys.command("rotate")(rotate_command)
    keys.command("drop")(drop_command)
    app.add_typer(keys, name="keys")


@with_settings
def explain_command(
    said: Resolved,
    product_key: Annotated[str, typer.Argument(help="The product's key (PK).")],
    device_key: Annotated[str, typer.Argument(help="The device's key (DK).")],
) -> None:
    """Say why a device is let in, or is not, and what would change it."""
    clock = Clock(said.settings.now)

    async def work(books: Books) -> None:
        why = await explain(books, product_key, device_key, by=PLATFORM, now=clock())
        typer.echo(f"{'let in' if why.admitted else 'not let in'}  {why.sentence}")
        if why.until is not None:
            typer.echo(f"until       {why.until:%Y-%m-%d %H:%M:%S} UTC")
        if why.refusal is not None:
            typer.echo(f"code        {why.refusal.reason.code} {why.refusal.reason.device_code or ''}".rstrip())
        typer.echo(f"next step   {why.next_step}")
        for fact in why.facts:
            typer.echo(f"  · {fact}")

    _run(said.settings, work)


@with_settings
def sweep_command(said: Resolved) -> None:
    """Write down what time has made true: renewals that are due, devices that lapsed, notices."""
    clock = Clock(said.settings.now)

    async def work(books: Books) -> None:
        swept = await sweep(books, now=clock())
        print_one(asdict(swept), {"renewed": "renewed", "lapsed": "lapsed", "notices": "notices"})

    _run(said.settings, work)


@with_settings
def link_command(
    said: Resolved,
    email: Annotated[str, typer.Argument(help="An operator's e-mail; new ones are made.")] = "operator@localhost",
) -> None:
    """Print a fresh sign-in link for an operator, good once and for a day."""
    clock = Clock(said.settings.now)
    settings = _reached(said.settings)

    async def work(books: Books) -> None:
        person = await operator(books, email=email, name=email.split("@")[0], by=PLATFORM, now=clock())
        link, _ = await sign_in_link(books, person.id, hours=_LINK_HOURS, by=PLATFORM, now=clock())
        typer.echo(f"{settings.public_url.rstrip('/')}/sign-in/{link}")

    _run(settings, work)


@with_settings
def rotate_command(said: Resolved) -> None:
    """Put a new key on the ring and seal every secret again with it. Old keys stay, so that backups can be opened."""

    async def look(books: Books) -> None:
        await reseal(books)

    async def work(books: Books) -> None:
        typer.echo(f"key {key_id} seals from now on; {await reseal(books)} secrets were sealed again")

    _run(said.settings, look)  # the books can be reached and read, before there is a key that they know nothing of
    key_id = key_file.add_key(said.settings.key_file)
    _run(said.settings, work)


@with_settings
def drop_command(said: Resolved) -> None:
    """Take every old key off the ring, after a last look that nothing is sealed with it."""

    async def work(books: Books) -> None:
        typer.echo(f"{await reseal(books)} secrets were still sealed with an old key, and are not now")

    _run(said.settings, work)
    key_file.drop_old_keys(said.settings.key_file)
    typer.echo("one key is left; backups from before the rotation need the old key file")


def _run(settings: Settings, work: Callable[[Books], Awaitable[None]]) -> None:
    """Do the work with the books open. A refusal is said as everywhere, and exits with 1; so is a missing key file."""

    async def run() -> None:
        async with _books(_reached(settings)) as books:
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


def _reached(settings: Settings) -> Settings:
    """The same settings, with what an `up` on this data folder says of where things are."""
    running = run_file.read(settings.data) or {}
    database_url = settings.database_url or running.get("database_url", "")
    if not database_url:
        typer.echo(f"licet does not run on {settings.data}: start it with ./licet up, or set a database URL", err=True)
        raise typer.Exit(1)
    return replace(settings, database_url=database_url, public_url=settings.public_url or running.get("url", ""))
