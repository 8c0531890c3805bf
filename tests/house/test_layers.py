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

# Which contract, the file that forgets itself, and what it says.
BROKEN = [
    ("layers", "units.py", "import licet.lifecycle"),
    ("layers", "lifecycle.py", "import licet.lots"),
    ("layers", "packages.py", "from licet.lots import Lot"),
    ("layers", "lots.py", "from licet import products"),
    ("layers", "products.py", "from licet.accounts import By"),
    ("layers", "activations.py", "from licet.postgres.books import Books"),
    ("layers", "postgres/books.py", "import licet.renew"),
    ("layers", "renew.py", "import licet.assign"),
    ("layers", "assign.py", "import licet.mint"),
    ("layers", "mint.py", "from licet import enrol"),
    ("layers", "assign.py", "def later() -> None:\n    import licet.admit"),
    ("layers", "admit.py", "from licet.sweep import sweep"),
    ("layers", "sweep.py", "import licet.broker"),
    ("layers", "web/__init__.py", "import licet.broker"),
    ("layers", "broker/__init__.py", "import licet.web"),
    ("layers", "broker/__init__.py", "import licet.run"),
    ("layers", "utils.py", "# A module that no layer has heard of."),
    ("one-verb-at-a-time", "admit.py", "import licet.assign"),
    ("one-verb-at-a-time", "sweep.py", "from licet.mint import credit"),
    ("one-verb-at-a-time", "explain.py", "from licet import enrol"),
    ("pure-nouns", "lots.py", "import os"),
    ("pure-nouns", "units.py", "from time import time"),
    ("pure-nouns", "accounts.py", "import asyncio"),
    ("pure-nouns", "products.py", "import psycopg"),
    ("books", "renew.py", "from psycopg import AsyncConnection"),
    ("books", "run/__init__.py", "import psycopg_pool"),
    ("broker", "web/__init__.py", "import nats"),
    ("broker", "sweep.py", "from nats.aio.client import Client"),
    ("web", "broker/__init__.py", "import starlette"),
    ("web", "run/__init__.py", "from fastapi import FastAPI"),
    ("web", "explain.py", "import jinja2"),
    ("server", "web/__init__.py", "import uvicorn"),
    ("server", "broker/__init__.py", "import typer"),
]


def test_the_tree_keeps_every_contract() -> None:
    linted = _lint(ROOT)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(("contract", "file", "says"), BROKEN, ids=[f"{c}: {f} {s[:32]}" for c, f, s in BROKEN])
def test_a_contract_notices_when_it_is_broken(contract: str, file: str, says: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src/licet", tmp_path / "src/licet", ignore=_all_but_code)
    shutil.copy(CONTRACTS, tmp_path)
    forgetful = tmp_path / "src/licet" / file
    assert forgetful.exists() == (file != "utils.py")
    with forgetful.open("a") as end:
        end.write(f"\n{says}\n")
    linted = _lint(tmp_path, contract)
    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert "1 broken" in linted.stdout


def test_no_contract_goes_without_a_test() -> None:
    written = configparser.ConfigParser()
    written.read(CONTRACTS)
    names = {section.rpartition(":")[2] for section in written.sections() if ":contract:" in section}
    assert names == {contract for contract, _, _ in BROKEN}


def test_every_noun_is_held_to_be_pure() -> None:
    """What is not a verb or a room is a noun, and the contract about nouns names it."""
    written = configparser.ConfigParser()
    written.read(CONTRACTS)
    layers = written["importlinter:contract:layers"]["layers"].split("\n")
    nouns = {noun.strip() for layer in layers[layers.index("postgres") + 1 :] for noun in layer.split("|")}
    pure = written["importlinter:contract:pure-nouns"]["source_modules"].split()
    assert {f"licet.{noun}" for noun in nouns} == set(pure)


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
