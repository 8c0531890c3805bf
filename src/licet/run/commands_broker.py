"""`licet nats-config`: what a nats-server of one's own has to be told, so that nobody comes in unless licet says so."""

import os
from pathlib import Path
from typing import Annotated

import typer

from licet.run import data_folder
from licet.run.config import Resolved
from licet.run.flags import with_settings


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("nats-config")(nats_config_command)


@with_settings
def nats_config_command(
    said: Resolved,
    *,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="FILE", help="A file of mode 0600 instead of the screen.")
    ] = None,
    store_dir: Annotated[
        Path, typer.Option("--store-dir", metavar="FOLDER", help="Where that server keeps its streams.")
    ] = Path("/var/lib/nats"),
    server_name: Annotated[
        str, typer.Option("--server-name", help="Unlike that of every other server of a cluster.")
    ] = "licet",
) -> None:
    """Print the configuration of a nats-server that licet does not start itself.

    It says what --host, --nats-port and --mqtt-port say, and holds two things that server and licet share:
    LICET_NATS_PASSWORD, and the public half of LICET_BROKER_SEED. What is not set is made once and kept in the data
    folder.

    1. licet nats-config --host 0.0.0.0 --into nats.conf

    2. nats-server --config nats.conf, 2.11 or later; TLS and a cluster are added to that file

    3. licet serve, or licet up, with the same password and seed, and LICET_NATS_URL=nats://that-host:4222
    """
    from licet.broker.server import server_config
    from licet.broker.tokens import issuer_of

    settings = data_folder.complete(said.settings)
    try:
        issuer = issuer_of(settings.broker_seed)
    except ValueError:
        typer.echo("broker_seed is not the seed of a NATS account; leave it out, and one is made", err=True)
        raise typer.Exit(2) from None
    text = server_config(
        host=settings.host,
        nats_port=settings.nats_port,
        mqtt_port=settings.mqtt_port,
        store_dir=store_dir,
        issuer=issuer,
        password=settings.nats_password,
        sync_interval=settings.sync_interval,
        server_name=server_name,
    )
    if into is None:
        typer.echo(text, nl=False)
    else:
        _write(into, text)
    for name, file in (("nats_password", data_folder.PASSWORD_FILE), ("broker_seed", data_folder.SEED_FILE)):
        if said.sources[name] == "default":
            typer.echo(f"for licet serve: LICET_{name.upper()}_FILE={settings.data / file}", err=True)


def _write(into: Path, text: str) -> None:
    """The password is in it: nobody else may read it, also while it is written."""
    aside = into.with_name(into.name + ".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    aside.replace(into)
