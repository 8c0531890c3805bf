"""Answers as people read them on a terminal: a table of many things, or the facts of one.

A line is never folded, however long it is: an id that is broken in two cannot be copied, nor found by grep.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: What is shown, and where an answer says it: {"available": "codes.available"}.
Columns = Mapping[str, str]

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z", re.ASCII)
_WIDE = 100_000


def print_many(things: Sequence[Mapping[str, Any]], columns: Columns) -> None:
    """A line for each thing."""
    table = Table(box=None, pad_edge=False, header_style="none")
    for heading, place in columns.items():
        table.add_column(heading, justify="right" if _counts(things, place) else "left")
    for thing in things:
        table.add_row(*(Text(_shown(_at(thing, place))) for place in columns.values()))
    _print(table)


def print_one(thing: Mapping[str, Any], columns: Columns) -> None:
    """A line for each fact of a thing."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column()
    for heading, place in columns.items():
        table.add_row(heading, Text(_shown(_at(thing, place))))
    _print(table)


def _print(table: Table) -> None:
    """Without the blanks that fill the last column: on a terminal they would be lines of nothing."""
    paper = Console(width=_WIDE)
    with paper.capture() as lines:
        paper.print(table)
    for line in lines.get().splitlines():
        typer.echo(line.rstrip())


def _at(thing: Any, place: str) -> Any:
    for name in place.split("."):
        thing = None if thing is None else thing.get(name)
    return thing


def _counts(things: Sequence[Mapping[str, Any]], place: str) -> bool:
    values = [_at(thing, place) for thing in things]
    return bool(values) and all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def _shown(value: Any) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() if all(isinstance(each, str) for each in value):
            return ", ".join(value) or "-"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case str() if instant := _INSTANT.fullmatch(value):
            return f"{instant[1]} {instant[2]}Z"
        case _:
            return str(value)
