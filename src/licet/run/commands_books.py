"""Commands that work on the books themselves, on the machine that licet runs on: sweep, explain, keys, a way in."""

from dataclasses import asdict, fields
from typing import Annotated

import typer

from licet.accounts import PLATFORM
from licet.explain import explain
from licet.invite import operator, sign_in_link
from licet.postgres.books import Books
from licet.reseal import reseal
from licet.run import key_file
from licet.run.clock import Clock
from licet.run.config import Resolved
from licet.run.flags import with_settings
from licet.run.on_books import on_books, reached
from licet.run.tables import print_one
from licet.sweep import Swept, sweep

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

    on_books(said.settings, work)


@with_settings
def sweep_command(said: Resolved) -> None:
    """Write down what time has made true: renewals that are due, devices that lapsed, notices, idle upgrades."""
    clock = Clock(said.settings.now)

    async def work(books: Books) -> None:
        swept = await sweep(books, now=clock())
        print_one(asdict(swept), {each.name: each.name for each in fields(Swept)})

    on_books(said.settings, work)


@with_settings
def link_command(
    said: Resolved,
    email: Annotated[str, typer.Argument(help="An operator's e-mail; new ones are made.")] = "operator@localhost",
) -> None:
    """Print a fresh sign-in link for an operator, good once and for a day."""
    clock = Clock(said.settings.now)
    settings = reached(said.settings)

    async def work(books: Books) -> None:
        person = await operator(books, email=email, name=email.split("@")[0], by=PLATFORM, now=clock())
        link, _ = await sign_in_link(books, person.id, hours=_LINK_HOURS, by=PLATFORM, now=clock())
        typer.echo(f"{settings.public_url.rstrip('/')}/sign-in/{link}")

    on_books(settings, work)


@with_settings
def rotate_command(said: Resolved) -> None:
    """Put a new key on the ring and seal every secret again with it. Old keys stay, so that backups can be opened."""

    async def look(books: Books) -> None:
        await reseal(books)

    async def work(books: Books) -> None:
        typer.echo(f"key {key_id} seals from now on; {await reseal(books)} secrets were sealed again")

    on_books(said.settings, look)  # the books can be reached and read, before there is a key that they know nothing of
    key_id = key_file.add_key(said.settings.key_file)
    on_books(said.settings, work)


@with_settings
def drop_command(said: Resolved) -> None:
    """Take every old key off the ring, after a last look that nothing is sealed with it."""

    async def work(books: Books) -> None:
        typer.echo(f"{await reseal(books)} secrets were still sealed with an old key, and are not now")

    on_books(said.settings, work)
    key_file.drop_old_keys(said.settings.key_file)
    typer.echo("one key is left; backups from before the rotation need the old key file")
