"""The settings as flags of a command, from the one table: `@with_settings` gives a command all of them.

A command that only asks a licet over HTTP gets the few that say which: `@with_place`.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from licet.run.config import TABLE, Resolved, SettingsError, resolve

# What says where the licet is that a command asks. The token has no flag: it is a secret.
PLACE = ("data", "url")

#: Where the help of a command shows them.
PANEL = "Settings"


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a flag for every setting; its first parameter is what they, and all else, come to."""
    return _with_flags(command, _FLAGS)


def with_place(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command only the flags that say where the licet is; its first parameter is the same as above."""
    return _with_flags(command, [flag for flag in _FLAGS if flag.name in PLACE])


def _with_flags(command: Callable[..., None], flags: Sequence[inspect.Parameter]) -> Callable[..., None]:
    @functools.wraps(command)
    def asked(**said: Any) -> None:
        given = {flag.name: said.pop(flag.name) for flag in flags}
        command(_resolved(given), **said)

    _, *own = inspect.signature(command).parameters.values()
    asked.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
    asked.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *flags]}
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
            typer.Option(row.flag, help=row.help, metavar=row.unit.upper() or "TEXT", rich_help_panel=PANEL),
        ],
    )
    for row in TABLE
    if not row.secret and (not row.hidden or row.name == "now")
]
