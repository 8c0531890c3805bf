"""What the command line says of itself, and that it is started as the launcher starts it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from doors.commands.terminal import OUTSIDE, ROOT

from licet.run.cli import app
from licet.run.command_page import commands_page


def commands(command: Any, name: str = "licet") -> Iterator[tuple[str, Any]]:
    for word, each in command.commands.items():
        yield f"{name} {word}", each
        if hasattr(each, "commands"):
            yield from commands(each, f"{name} {word}")


def test_every_command_and_every_word_of_it_is_told() -> None:
    page = commands_page(app)
    for name, command in commands(typer.main.get_command(app)):
        assert (f"# {name}\n" in page) is not command.hidden
        assert command.help, name
        assert command.help.split("\n\n")[0].rstrip().endswith("."), name
        assert not [each.name for each in command.params if not each.help], name


def test_the_page_is_made_from_what_is_there() -> None:
    other = typer.Typer()

    @other.command("mint")
    def mint(quantity: int, *, loudly: bool = False) -> None:
        """Mint codes."""

    @other.command("hidden", hidden=True)
    def hidden() -> None:
        """Not told."""

    page = commands_page(other)
    assert page.endswith(
        "## licet mint\n\nMint codes.\n\n```\nlicet mint QUANTITY\n```\n\n"
        "| | |\n|---|---|\n| `QUANTITY` |  |\n| `--loudly/--no-loudly` |  |\n"
    )
    assert page.startswith("# Commands\n")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["accounts", "list"], 1, "licet does not run on"),
        (["accounts", "lost"], 2, "No such command"),
        (["accounts", "list", "--url", "here"], 2, "url: 'here' (--url) is not it"),
    ],
)
def test_a_command_ends_as_it_says(tmp_path: Path, words: list[str], status: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "licet.run.cli", *words],
        env=OUTSIDE | {"LICET_DATA": str(tmp_path), "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
