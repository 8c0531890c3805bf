"""Who may import whom: the contracts of ``.importlinter`` hold, and each of them notices when it is broken."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / ".importlinter"

# For each contract: the file that forgets itself, what it says, and what the linter has to say about it.
BROKEN = {
    "layers": [
        ("units.py", "import licet.lifecycle", "licet.units -> licet.lifecycle"),
        ("lifecycle.py", "import licet.lots", "licet.lifecycle -> licet.lots"),
        ("packages.py", "from licet.lots import Lot", "licet.packages -> licet.lots"),
        ("lots.py", "from licet import products", "licet.lots -> licet.products"),
        ("products.py", "from licet.accounts import By", "licet.products -> licet.accounts"),
        ("activations.py", "from licet.postgres.books import Books", "licet.activations -> licet.postgres.books"),
        ("postgres/books.py", "import licet.renew", "licet.postgres.books -> licet.renew"),
        ("renew.py", "import licet.assign", "licet.renew -> licet.assign"),
        ("assign.py", "def later() -> None:\n    import licet.mint", "licet.assign -> licet.mint"),
        ("mint.py", "from licet import enrol", "licet.mint -> licet.enrol"),
        ("upgrade.py", "import licet.admit", "licet.upgrade -> licet.admit"),
        ("admit.py", "from licet.sweep import sweep", "licet.admit -> licet.sweep"),
        ("sweep.py", "import licet.broker.door", "licet.sweep -> licet.broker.door"),
        ("web/__init__.py", "import licet.broker.gate", "licet.web -> licet.broker.gate"),
        ("broker/__init__.py", "import licet.web.paging", "licet.broker -> licet.web.paging"),
        ("broker/lanes.py", "import licet.run.clock", "licet.broker.lanes -> licet.run.clock"),
    ],
    "one-verb-at-a-time": [
        ("admit.py", "import licet.assign", "licet.admit -> licet.assign"),
        ("sweep.py", "from licet.mint import credit", "licet.sweep -> licet.mint"),
        ("explain.py", "from licet import enrol", "licet.explain -> licet.enrol"),
    ],
    "pure-nouns": [
        ("lots.py", "import os", "licet.lots -> os"),
        ("units.py", "from time import time", "licet.units -> time"),
        ("accounts.py", "import asyncio", "licet.accounts -> asyncio"),
        ("products.py", "import psycopg", "licet.products -> psycopg"),
    ],
    "books": [
        ("renew.py", "from psycopg import AsyncConnection", "licet.renew -> psycopg"),
        ("run/__init__.py", "import psycopg_pool", "licet.run -> psycopg_pool"),
    ],
    "broker": [
        ("web/__init__.py", "import nats", "licet.web -> nats"),
        ("sweep.py", "from nats.aio.client import Client", "licet.sweep -> nats"),
    ],
    "web": [
        ("broker/__init__.py", "import starlette", "licet.broker -> starlette"),
        ("run/__init__.py", "from fastapi import FastAPI", "licet.run -> fastapi"),
        ("explain.py", "import jinja2", "licet.explain -> jinja2"),
    ],
    "server": [
        ("web/__init__.py", "import uvicorn", "licet.web -> uvicorn"),
        ("broker/__init__.py", "import typer", "licet.broker -> typer"),
    ],
}


def test_the_tree_keeps_every_contract() -> None:
    linted = _lint(ROOT)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("contract", BROKEN)
def test_a_contract_notices_when_it_is_broken(contract: str, tmp_path: Path) -> None:
    _copy(tmp_path)
    for file, says, _ in BROKEN[contract]:
        with (tmp_path / "src/licet" / file).open("r+") as forgetful:
            forgetful.seek(0, os.SEEK_END)
            forgetful.write(f"\n{says}\n")
    linted = _lint(tmp_path, contract)
    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert "1 broken" in linted.stdout
    unnoticed = [link for _, _, link in BROKEN[contract] if f"{link} (l." not in linted.stdout]
    assert not unnoticed, linted.stdout


def test_a_module_that_no_layer_has_heard_of_is_noticed(tmp_path: Path) -> None:
    _copy(tmp_path)
    (tmp_path / "src/licet/utils.py").write_text('"""Where things go that belong nowhere."""\n')
    linted = _lint(tmp_path, "layers")
    assert linted.returncode == 1
    assert "licet.utils" in linted.stdout


def test_no_contract_goes_without_a_test() -> None:
    written = configparser.ConfigParser()
    written.read(CONTRACTS)
    names = {section.rpartition(":")[2] for section in written.sections() if ":contract:" in section}
    assert names == set(BROKEN)


def test_every_noun_is_held_to_be_pure() -> None:
    """What is not a verb or a room is a noun, and the contract about nouns names it."""
    written = configparser.ConfigParser()
    written.read(CONTRACTS)
    layers = written["importlinter:contract:layers"]["layers"].split("\n")
    nouns = {noun.strip() for layer in layers[layers.index("postgres") + 1 :] for noun in layer.split("|")}
    pure = written["importlinter:contract:pure-nouns"]["source_modules"].split()
    assert {f"licet.{noun}" for noun in nouns} == set(pure)


def _copy(to: Path) -> None:
    shutil.copytree(ROOT / "src/licet", to / "src/licet", ignore=_all_but_code)
    shutil.copy(CONTRACTS, to)


def _lint(root: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    asked = [word for contract in contracts for word in ("--contract", contract)]
    start = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()"]
    return subprocess.run(
        [*start, "--no-cache", "--no-logo", "--config", str(root / ".importlinter"), *asked],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src"), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def _all_but_code(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if not name.endswith(".py") and not (Path(folder) / name).is_dir()} | {"__pycache__"}
