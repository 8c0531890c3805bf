"""What the commands that ask a licet have in common: which one, with which token, how it is shown, how it says no.

    @accounts.command("show")
    @asking
    def show_command(ask: Ask, account: AccountNamed) -> None: ...

``asking_once`` is for a command that sends a POST: it may be given again under the same key, and is done once.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from licet.run import run_file
from licet.run.api_client import Answer, Licet, NotDone, misused
from licet.run.config import Resolved
from licet.run.flags import with_place
from licet.run.tables import Columns, print_many, print_one

AccountNamed = Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account's id or name.")]
OfAccount = Annotated[str | None, typer.Option("--account", metavar="ACCOUNT", help="An account's id or name.")]
PackageNamed = Annotated[str, typer.Argument(metavar="PACKAGE", help="A package's id or name.")]
ProductKey = Annotated[str, typer.Argument(metavar="PK", help="A product's key.")]
OfProduct = Annotated[str | None, typer.Option("--product", metavar="PK", help="A product's key.")]
DeviceKey = Annotated[str, typer.Argument(metavar="DK", help="A device's key.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
Limit = Annotated[int, typer.Option("--limit", min=1, metavar="COUNT", help="How many at most.")]

_ID = re.compile(r"[a-z]{3}_[0-9a-f]{20}", re.ASCII)
_IN_A_HEADER = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_MANY = 1_000_000

#: Where the help of a command shows what all commands that ask have.
PANEL = "Asking"


@dataclass(frozen=True, slots=True)
class Ask:
    """One command, the licet it asks, and how it answers: in tables, or in the API's own JSON."""

    licet: Licet
    as_json: bool

    def tell(self, answer: Answer, columns: Columns) -> None:
        """One thing."""
        if self.as_json:
            typer.echo(answer.text)
        else:
            print_one(answer.said, columns)

    def tell_many(self, answer: Answer, columns: Columns) -> None:
        """A list; when there are more than were asked for, that is said."""
        if self.as_json:
            typer.echo(answer.text)
            return
        print_many(answer.said["data"], columns)
        if answer.said.get("next_cursor") is not None:
            self.remark("There are more; --limit shows more of them.")

    def remark(self, said: str) -> None:
        """A sentence for who sits there; a program that reads JSON does not need it."""
        if not self.as_json:
            typer.echo(said, err=True)

    def account_id(self, named: str) -> str:
        """An account by its id, or by its name if only one has it."""
        if _ID.fullmatch(named):
            return named
        return _the_one("account", named, self.licet.listed("accounts", limit=_MANY, search=named).said["data"])

    def account_id_if(self, named: str | None) -> str | None:
        return None if named is None else self.account_id(named)

    def package_id(self, named: str) -> str:
        """A package by its id or name."""
        if _ID.fullmatch(named):
            return named
        return _the_one("package", named, self.licet.listed("packages", limit=_MANY).said["data"])


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command its licet, as its first parameter, and the flags to say which and how it is shown."""
    return _asking(command, [_AS_JSON])


def asking_once(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that sends a POST."""
    return _asking(command, [_AS_JSON, _KEY])


def sure(question: str, yes: bool) -> None:
    """Ask before something is gone."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


def something(**given: object) -> dict[str, object]:
    """What is to change. Nothing at all is a mistake of who typed it."""
    if all(value is None for value in given.values()):
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        raise misused(f"Say what is to change: {flags}.")
    return given


def _asking(command: Callable[..., None], flags: list[inspect.Parameter]) -> Callable[..., None]:
    @functools.wraps(command)
    def asked(said: Resolved, as_json: bool, key: str | None = None, **own: Any) -> None:
        with _said_plainly():
            command(Ask(_licet(said, key), as_json), **own)

    first, *own = inspect.signature(command).parameters.values()
    asked.__signature__ = inspect.Signature([first, *own, *flags])  # type: ignore[attr-defined]
    return with_place(asked)


@contextmanager
def _said_plainly() -> Iterator[None]:
    try:
        yield
    except NotDone as why:
        typer.echo(str(why), err=True)
        raise typer.Exit(why.status) from None


def _licet(said: Resolved, key: str | None) -> Licet:
    """The licet that was named, or the one that runs on the data folder. The folder's token goes to no other."""
    settings = said.settings
    running = {} if settings.url and settings.token else _running(settings.data)
    here = running.get("url", "").rstrip("/")
    url = settings.url or here
    if not url:
        raise NotDone(f"licet does not run on {settings.data}: start it with ./licet up, or say --url and LICET_TOKEN.")
    token = settings.token or (running.get("token", "") if url == here else "")
    if not _IN_A_HEADER.fullmatch(token):
        raise misused(f"Set LICET_TOKEN, or LICET_TOKEN_FILE, to a token of {url}.")
    if key is not None and not _IN_A_HEADER.fullmatch(key):
        raise misused("A key is up to 200 printable ASCII characters without spaces.")
    return Licet(url, token, key=key)


def _running(data: Path) -> dict[str, Any]:
    try:
        return run_file.read(data) or {}
    except PermissionError:
        raise NotDone(f"{data} is somebody else's: say --url and LICET_TOKEN.") from None


def _the_one(thing: str, name: str, found: list[dict[str, Any]]) -> str:
    ids: list[str] = [each["id"] for each in found if each["name"] == name]
    if not ids:
        raise NotDone(f"There is no {thing} named {name}. Check the name.")
    if len(ids) > 1:
        raise misused(f"{len(ids)} {thing}s are named {name}: {', '.join(ids)}. Say which by its id.")
    return ids[0]


_AS_JSON = inspect.Parameter(
    "as_json",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--json", help="Print the API's own answer.", rich_help_panel=PANEL)],
)
_KEY = inspect.Parameter(
    "key",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        typer.Option(
            "--key", metavar="KEY", help="Given again under the same key, it is done once.", rich_help_panel=PANEL
        ),
    ],
)
