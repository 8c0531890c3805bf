"""The rules that make it calm: short files and functions, time and chance from outside, names that mean a thing."""

import ast
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src/licet"
ROOMS = ("postgres", "broker", "web", "run")

FILE_LINES = 350
FUNCTION_LINES = 50
STORY_LINES = 80  # of a test that tells a whole day

# Names that say nothing about the trade.
EMPTY_WORDS = re.compile(r"(^|_)(utils?|helpers?|managers?|services?|misc|common|base|handlers?|factory)($|_)")

# Who asks the clock or the dice has let the outside in: below the doors both are arguments.
CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "perf_counter", "localtime", "gmtime"}
CLOCK_OWNERS = {"datetime", "date", "time"}

# Faults that are planted: what they stand for cannot be brought about from outside at that very instant.
PLANTED_FAULTS = {
    "tests/doors/broker/test_registration.py": "a fault in the middle of a registration",
    "tests/doors/broker/test_relay.py": "a death between telling and remembering that it was told",
}


def python(*tops: str) -> Iterator[Path]:
    for top in tops:
        yield from sorted((ROOT / top).rglob("*.py"))


def below_the_doors() -> Iterator[Path]:
    """Nouns, verbs and the books."""
    for path in python("src/licet"):
        room = path.relative_to(SOURCES).parts[0]
        if room not in ROOMS or room == "postgres":
            yield path


def asks_the_clock(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
                if owner in CLOCK_OWNERS and name in CLOCKS:
                    yield f"line {node.lineno}: {owner}.{name}"
            case ast.Import(names=names) if any(each.name in {"random", "time"} for each in names):
                yield f"line {node.lineno}: import {', '.join(each.name for each in names)}"
            case ast.ImportFrom(module="random" | "time" as module):
                yield f"line {node.lineno}: from {module}"


def makes_up_now(tree: ast.AST) -> Iterator[str]:
    """``now`` and ``by`` are given, never made up."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args.posonlyargs + node.args.args
            defaults = [None] * (len(given) - len(node.args.defaults)) + list(node.args.defaults)
            pairs = [*zip(given, defaults, strict=True), *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
            for arg, default in pairs:
                asker = arg.arg == "by" and arg.annotation is not None and ast.unparse(arg.annotation) == "By"
                if (arg.arg == "now" or asker) and default is not None:
                    yield f"line {node.lineno}: {node.name}({arg.arg}={ast.unparse(default)})"


def swallows(tree: ast.AST) -> Iterator[str]:
    """An ``except`` for everything that does nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or (isinstance(node.type, ast.Name) and node.type.id.endswith("Exception"))
            if broad and all(
                isinstance(each, ast.Pass | ast.Continue) or ast.unparse(each) == "..." for each in node.body
            ):
                yield f"line {node.lineno}: swallows whatever happens"


def long_functions(tree: ast.AST, most: int = FUNCTION_LINES) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1 - sum(_texts(node))
            if lines > most:
                yield f"line {node.lineno}: {node.name} has {lines} lines"


def _texts(function: ast.AST) -> Iterator[int]:
    """Lines of text within it: a docstring, which may well list its steps, or a file that it writes."""
    for node in ast.walk(function):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            yield (node.end_lineno or node.lineno) - node.lineno


def put_off(text: str) -> Iterator[str]:
    """What was left for later, and what a checker was told to overlook without saying what."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            yield f"line {number}: left for later: {line.strip()}"
        if re.search(r"#\s*type:\s*ignore(?!\[)", line) or re.search(r"#\s*noqa(?!:)", line):
            yield f"line {number}: says not what is overlooked: {line.strip()}"


def skips_or_mocks(tree: ast.AST) -> Iterator[str]:
    """A test runs, everywhere, against what it is about."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr="skip" | "skipif" | "xfail" | "importorskip" as name):
                yield f"line {node.lineno}: {name}"
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] == "mock" or module == "unittest.mock":
                yield f"line {node.lineno}: mocks"
            case ast.Import(names=names) if any(each.name in {"mock", "unittest.mock"} for each in names):
                yield f"line {node.lineno}: mocks"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="monkeypatch"), attr="setattr"), args=[*args]):
                if not _is_constant(args):
                    yield f"line {node.lineno}: puts something else in a thing's place"


def _is_constant(args: list[ast.expr]) -> bool:
    """A limit may be lowered for a test: BATCH, PATIENCE_SECONDS."""
    return len(args) == 3 and isinstance(args[1], ast.Constant) and str(args[1].value).isupper()


def _read(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path), feature_version=(3, 11))


def _all_of(check, paths) -> str:  # type: ignore[no-untyped-def]
    return "\n".join(f"{path.relative_to(ROOT)}: {found}" for path in paths for found in check(_read(path)))


def test_files_are_short() -> None:
    kinds = (".py", ".sql", ".html", ".js")
    files = [path for top in ("src", "tests", "bench") for path in (ROOT / top).rglob("*") if path.suffix in kinds]
    files = [path for path in files if "vendor" not in path.parts and path.name != "schema.sql"]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {path: lines for path, lines in lengths.items() if lines > FILE_LINES} == {}


def test_functions_are_short() -> None:
    assert not _all_of(long_functions, python("src", "bench"))
    assert not _all_of(partial(long_functions, most=STORY_LINES), python("tests"))


def test_nobody_below_the_doors_asks_the_clock_or_the_dice() -> None:
    assert not _all_of(asks_the_clock, below_the_doors())


def test_now_and_by_are_given() -> None:
    assert not _all_of(makes_up_now, below_the_doors())


def test_nothing_is_swallowed() -> None:
    assert not _all_of(swallows, python("src", "tests", "bench"))


def test_nothing_is_put_off() -> None:
    here = Path(__file__)
    found = {path: list(put_off(path.read_text("utf-8"))) for path in python("src", "tests", "bench") if path != here}
    assert {str(path): lines for path, lines in found.items() if lines} == {}


def test_no_test_is_skipped_and_nothing_of_ours_is_mocked() -> None:
    faulty = {ROOT / path for path in PLANTED_FAULTS}
    assert not _all_of(skips_or_mocks, (path for path in python("tests") if path not in faulty))
    assert all(list(skips_or_mocks(_read(path))) for path in faulty), "a planted fault is gone: take it off the list"


def test_every_module_and_class_is_named_after_a_thing() -> None:
    empty = [str(path.relative_to(ROOT)) for path in python("src") if EMPTY_WORDS.search(path.stem)]
    for path in python("src"):
        for node in ast.walk(_read(path)):
            if isinstance(node, ast.ClassDef):
                words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", node.name).lower()
                if EMPTY_WORDS.search(words):
                    empty.append(f"{path.relative_to(ROOT)}: {node.name}")
            if isinstance(node, ast.ImportFrom) and node.module == "abc":
                empty.append(f"{path.relative_to(ROOT)}: a base class")
    assert not empty


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in python("src") if path.read_text("utf-8").strip() and not ast.get_docstring(_read(path))]
    assert not silent


PLANTED = [
    (asks_the_clock, "from datetime import datetime\nat = datetime.now()"),
    (asks_the_clock, "import datetime\nat = datetime.datetime.utcnow()"),
    (asks_the_clock, "import time"),
    (asks_the_clock, "from random import choice"),
    (makes_up_now, "def admit(books, *, now=None): ..."),
    (makes_up_now, "async def admit(books, by: By = PLATFORM, *, now): ..."),
    (swallows, "try:\n    go()\nexcept Exception:\n    pass"),
    (swallows, "try:\n    go()\nexcept:\n    ..."),
    (long_functions, "def long():\n" + "    step()\n" * FUNCTION_LINES),
    (skips_or_mocks, "@pytest.mark.skip\ndef test(): ..."),
    (skips_or_mocks, "from unittest.mock import patch"),
    (skips_or_mocks, "def test(monkeypatch):\n    monkeypatch.setattr(lots, 'take', None)"),
]


@pytest.mark.parametrize(("check", "planted"), PLANTED)
def test_what_is_planted_is_found(check, planted: str) -> None:  # type: ignore[no-untyped-def]
    assert list(check(ast.parse(planted)))


@pytest.mark.parametrize("planted", ["# TODO: later", "x = 1  # type: ignore", "import os  # noqa"])
def test_what_is_put_off_is_found(planted: str) -> None:
    assert list(put_off(planted))


@pytest.mark.parametrize(
    "calm",
    [
        "def admit(books, *, now): return now",
        "def take(at): return at.time",
        "try:\n    go()\nexcept KeyError:\n    pass",
    ],
)
def test_what_is_calm_is_left_alone(calm: str) -> None:
    for check in (asks_the_clock, makes_up_now, swallows, long_functions, skips_or_mocks):
        assert not list(check(ast.parse(calm)))
