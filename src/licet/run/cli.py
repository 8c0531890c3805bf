"""The command line: `./licet up`, `./licet test`, and every other command of licet.

Modules named `commands_…` beside this one add their own: each has a `register(app)`. What only one command needs is
imported by that command, so that `licet settings` does not wait for a web framework.
"""

import importlib
import pkgutil
from typing import Annotated

import typer

import licet.run
from licet import __version__
from licet.run import checks, doctor
from licet.run.config import TABLE, Resolved
from licet.run.flags import with_settings
from licet.run.settings_page import listed, manual_page

# What `up` makes and finds by itself, and `serve` alone has to be told.
ALONE = ("database_url", "nats_url", "nats_password", "broker_seed")

app = typer.Typer(
    name="licet",
    help="May this device connect? Activation codes for devices.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command("up")
@with_settings
def up_command(
    said: Resolved,
    *,
    demo: Annotated[bool, typer.Option("--demo", help="Add an account with devices that connect.")] = False,
) -> None:
    """Start everything on this machine, and keep it running until Ctrl-C."""
    from licet.run import up

    raise typer.Exit(up.main(said.settings, demo=demo))


@app.command("serve")
@with_settings
def serve_command(said: Resolved) -> None:
    """Run licet alone, on a PostgreSQL and a nats-server that are already there."""
    from licet.run import serve

    missing = [row.variable for row in TABLE if row.name in ALONE and not getattr(said.settings, row.name)]
    if missing:
        typer.echo(f"licet serve needs {', '.join(missing)}; `licet up` brings its own", err=True)
        raise typer.Exit(2)
    raise typer.Exit(serve.main(said.settings))


@app.command("demo", hidden=True)
@with_settings
def demo_command(said: Resolved) -> None:
    """What `up --demo` runs beside licet: devices that really connect."""
    from licet.run import demo

    demo.main(said.settings)


@app.command("settings")
@with_settings
def settings_command(
    said: Resolved,
    *,
    page: Annotated[bool, typer.Option("--page", help="Print docs/settings.md instead.")] = False,
) -> None:
    """Show every setting, its value, and where that came from."""
    if page:
        typer.echo(manual_page(), nl=False)
        return
    for name, value, source in listed(said):
        typer.echo(f"{name:<22} {value or '-'}  ({source})")


@app.command("doctor")
@with_settings
def doctor_command(said: Resolved) -> None:
    """Check the engines: there, new enough, and reachable."""
    raise typer.Exit(doctor.main(said.settings))


@app.command("test", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def test_command(context: typer.Context) -> None:
    """Run every check and every test; what follows is passed on to pytest."""
    raise typer.Exit(checks.main(context.args))


@app.command("version")
def version_command() -> None:
    """Print the version."""
    typer.echo(__version__)


for module in sorted(found.name for found in pkgutil.iter_modules(licet.run.__path__)):
    if module.startswith("commands_"):
        importlib.import_module(f"licet.run.{module}").register(app)


def main() -> None:
    """Where the launcher comes in."""
    app(prog_name="licet")


if __name__ == "__main__":
    main()
