"""Queries live in ``.sql`` files, each under its name; here they are read.

A file is a list of ``-- name --`` headings, each followed by comment lines that say what the query promises, then one
statement with named parameters. Every query is wrapped by one function of the same name.
"""

import re
from functools import cache
from importlib.resources import files
from types import SimpleNamespace

_HEADING = re.compile(r"^-- (\w+) --$", re.MULTILINE)


@cache
def texts(noun: str) -> dict[str, str]:
    """The statements of ``<noun>.sql`` by name."""
    written = (files("licet.postgres") / f"{noun}.sql").read_text("utf-8")
    _, *rest = _HEADING.split(written)
    return {name: statement.strip().rstrip(";") for name, statement in zip(rest[::2], rest[1::2], strict=True)}


def queries(noun: str) -> SimpleNamespace:
    """The same, as attributes of bytes: ``queries("lots").insert_lot``."""
    return SimpleNamespace(**{name: text.encode() for name, text in texts(noun).items()})
