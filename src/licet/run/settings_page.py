"""The settings as they are shown: a page of the manual, and a list of what holds here and who said so."""

from licet.run.config import TABLE, Resolved, Setting, as_text

_BEFORE = """\
# Settings

A flag wins over the environment, the environment over `licet.toml` in the data folder, and that over the default.
`./licet settings` prints each value and where it came from. A name that is not on this page is refused. Instead of a
secret, its variable with `_FILE` at the end may name a file that holds it, for example `LICET_DATABASE_URL_FILE`; a
secret has no flag, since everybody on a machine can read its command lines. Which flags a command takes is told in
[commands](commands.md).

In `licet.toml` a line is `http_port = 8080`: the names are those in the first column. The file lies in the data folder,
so it cannot say where that is.

| name | default | unit | flag | environment | |
|---|---|---|---|---|---|
"""


def manual_page() -> str:
    """docs/settings.md, whole. A test compares the two."""
    return _BEFORE + "".join(_line(row) for row in TABLE if not row.hidden)


def listed(resolved: Resolved) -> list[tuple[str, str, str]]:
    """(name, value, where it came from) of every setting; a secret shows only whether it is set."""
    return [(row.name, _shown(row, resolved), resolved.sources[row.name]) for row in TABLE if not row.hidden]


def _shown(row: Setting, resolved: Resolved) -> str:
    text = as_text(getattr(resolved.settings, row.name))
    return "••••••" if row.secret and text else text


def _line(row: Setting) -> str:
    default = f"`{row.default}`" if row.default else ""
    flag, secret = ("", " Secret.") if row.secret else (f"`{row.flag}`", "")
    return f"| `{row.name}` | {default} | {row.unit} | {flag} | `{row.variable}` | {row.help}{secret} |\n"
