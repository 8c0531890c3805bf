"""The commands as a page of the manual: docs/commands.md, made from what the command line says of itself."""

from collections.abc import Iterator
from enum import Enum
from typing import Any

import typer.main

from licet.run.asking import PANEL as ASKING
from licet.run.config import TABLE
from licet.run.flags import PANEL as SETTINGS

_BEFORE = """\
# Commands

`./licet COMMAND`, from a checkout; `./licet COMMAND --help` says the same as this page.

Most commands ask a licet over HTTP. By themselves they ask the one that runs on the data folder, as the operator. For
another one set `--url` (or `LICET_URL`) and `LICET_TOKEN` (or `LICET_TOKEN_FILE`); a token has no flag, since everybody
on a machine can read its command lines. The token of the data folder is shown to no other licet.

- Accounts and packages are named by their id, or by their name where only one has it.
- `--json` prints the API's own answer, unchanged. A long list is paged through and printed as one page; where one
  command asks for two things they are in one object, each unchanged.
- What is refused is said on stderr, the sentence and the next step, and the status is 1. It is 2 when what was typed
  cannot be meant.
- What changes the books is sent under a key of its own. When an answer is lost, the command says with which `--key` to
  give it again: it is done once.
- What takes something away asks first, unless `--yes`.
"""


def commands_page(app: typer.Typer) -> str:
    """docs/commands.md, whole. A test compares the two."""
    return _BEFORE + "".join(_sections(typer.main.get_command(app), "licet"))


def _sections(command: Any, name: str) -> Iterator[str]:
    for word, each in sorted(getattr(command, "commands", {}).items()):
        if each.hidden:
            continue
        full = f"{name} {word}"
        if hasattr(each, "commands"):
            yield f"\n## {full}\n\n{_told(each)}\n"
            yield from _sections(each, full)
        else:
            yield f"\n{'##' if name == 'licet' else '###'} {full}\n\n{_told(each)}\n\n{_usage(each, full)}{_rows(each)}"


def _told(command: Any) -> str:
    return "\n".join(line.rstrip() for line in (command.help or "").replace("\f", "").strip().splitlines())


def _usage(command: Any, full: str) -> str:
    arguments = [_argument(each) for each in _own(command) if not _is_option(each)]
    options = [_option(each) for each in _own(command) if _is_option(each) and each.required]
    return f"```\n{' '.join([full, *arguments, *options])}\n```\n"


def _rows(command: Any) -> str:
    rows = [f"| `{_argument(each)}` | {each.help or ''} |" for each in _own(command) if not _is_option(each)]
    rows += [f"| `{_option(each)}` | {_help(each)} |" for each in _own(command) if _is_option(each)]
    shared = [f"`{_option(each)}`" for panel in (ASKING, SETTINGS) for each in _panel(command, panel)]
    if len(shared) > len(TABLE) // 2:
        rows.append("| | Each of the [settings](settings.md). |")
    elif shared:
        rows.append(f"| {' '.join(shared)} | As every command that asks. |")
    return "\n" + "\n".join(["| | |", "|---|---|", *rows]) + "\n" if rows else ""


def _own(command: Any) -> list[Any]:
    return [each for each in _panel(command, None) if each.name != "help"]


def _panel(command: Any, panel: str | None) -> list[Any]:
    return [each for each in command.params if each.rich_help_panel == panel]


def _is_option(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "option")


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return name if parameter.required else f"[{name}]"


def _option(parameter: Any) -> str:
    flags = "/".join([*parameter.opts, *parameter.secondary_opts])
    return flags if parameter.is_flag else f"{flags} {_kind(parameter)}"


def _kind(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "\\|".join(str(choice.value) for choice in annotation)
    return str(parameter.metavar or parameter.name.upper())


def _help(parameter: Any) -> str:
    default = parameter.default
    if parameter.is_flag or default is None or callable(default):
        return parameter.help or ""
    return f"{parameter.help} If not said: {getattr(default, 'value', default)}."
