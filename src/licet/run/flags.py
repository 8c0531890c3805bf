"""The settings as flags of a command: `@with_settings` gives a command all of them, from the one table."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from licet.run.config import TABLE, Resolved, SettingsError, resolve


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a flag for every setting; its first parameter is what they, and all else, come to."""

    @functools.wraps(command)
    def asked(**said: Any) -> None:
        flags = {row.name: said.pop(row.name) for row in TABLE if row.name in said}
        command(_resolved(flags), **said)

    _, *own = inspect.signature(command).parameters.values()
    asked.__signature__ = inspect.Signature([*own, *_FLAGS])  # type: ignore[attr-defined]
    asked.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *_FLAGS]}
    return asked


def _resolved(flags: dict[str, str | None]) -> Resolved:
    try:
        return resolve(flags)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


_FLAGS = [
    inspect.Parameter(
        row.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            str | None,
            typer.Option(row.flag, help=row.help, metavar=row.unit.upper() or "TEXT", rich_help_panel="Settings"),
        ],
    )
    for row in TABLE
    if not row.secret and (not row.hidden or row.name == "now")
]
