"""What is promised is kept: each rule is tested, each refusal is said with its facts, each event is told."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from licet.events import Kind
from licet.postgres.books import LAST_WORDS
from licet.refusals import Reason

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src/licet"

# The rules of the trade that licet keeps so far.
KEPT = {"A": 11, "B": 4, "C": 7, "D": 7, "F": 3, "G": 6}
RULES = [f"{part}{number}" for part, last in KEPT.items() for number in range(1, last + 1)]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_cited_by_a_test(rule: str) -> None:
    tests = (path for kind in ("*.py", "*.md") for path in (ROOT / "tests").rglob(kind) if path != Path(__file__))
    assert any(re.search(rf"\b{rule}\b", path.read_text("utf-8")) for path in tests)


def test_rules_that_are_cited_exist() -> None:
    known = {f"{part}{number}" for part, last in _ALL_RULES.items() for number in range(1, last + 1)}
    for path in [*SOURCES.rglob("*.py"), *SOURCES.rglob("*.sql")]:
        for cited in re.findall(r"\(rules? ([^)]*)\)", path.read_text("utf-8")):
            assert set(re.findall(r"\b[A-G]\d+\b", cited)) <= known, path


_ALL_RULES = {"A": 11, "B": 4, "C": 7, "D": 7, "E": 5, "F": 3, "G": 8}


def test_every_reason_is_said_somewhere() -> None:
    said = set(LAST_WORDS.values())
    for path in _code():
        if path.name != "refusals.py":
            said |= {Reason[name] for name in _members(path, "Reason", "refusals") if name in Reason.__members__}
    assert {reason.name for reason in Reason if reason not in said} == set()


def test_every_refusal_carries_the_facts_of_its_sentence() -> None:
    bare = [f"{path.relative_to(ROOT)}:{found}" for path in _code() for found in without_facts(_tree(path))]
    assert not bare, "\n".join(bare)


def test_every_last_word_finds_its_facts_in_the_transaction() -> None:
    """A constraint knows no facts; the transaction that it may end was opened with them."""
    told = [names for path in _code() for names in _transactions(_tree(path))]
    for reason in LAST_WORDS.values():
        assert any(_facts(reason) <= names for names in told), reason


def test_every_event_is_told_somewhere() -> None:
    told = {name for path in _code() if path.name != "events.py" for name in _members(path, "Kind", "events")}
    assert {kind.name for kind in Kind} - told == set()


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("Refused(Reason.NO_CODE_AVAILABLE, product=p, consumed=1, total=1)", True),
        ("Refused(Reason.NO_CODE_AVAILABLE, product=p, consumed=1, total=1, unassigned=0)", False),
        ("Refused(refusals.Reason.NOT_FOUND)", True),
        ("Refused(Reason.NOT_FOUND, thing='lot')", False),
        ("Refused(Reason.NOT_FOUND, **facts)", False),
        ("Refused(Reason.NOT_AUTHORIZED)", False),
    ],
)
def test_a_refusal_without_its_facts_is_found(planted: str, found: bool) -> None:
    assert bool(list(without_facts(ast.parse(planted)))) is found


def without_facts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id="Refused") | ast.Attribute(attr="Refused"),
                args=[ast.Attribute(value=ast.Name(id="Reason") | ast.Attribute(attr="Reason"), attr=name)],
                keywords=keywords,
            ):
                given = {keyword.arg for keyword in keywords}
                if None not in given and (missing := _facts(Reason[name]) - given):
                    yield f"{node.lineno}: {name} without {', '.join(sorted(missing))}"


def _facts(reason: Reason) -> set[str]:
    text = reason.value.sentence + reason.value.next_step
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def _transactions(tree: ast.AST) -> Iterator[set[str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="transaction"), keywords=keywords):
                yield {keyword.arg for keyword in keywords if keyword.arg}


def _code() -> list[Path]:
    return sorted(SOURCES.rglob("*.py"))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def _members(path: Path, enum: str, module: str) -> Iterator[str]:
    """The members of an enum of a noun that a file mentions, under whatever name it imports it."""
    names = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module == f"licet.{module}":
            names |= {each.asname or each.name for each in node.names if each.name == enum}
    for node in ast.walk(_tree(path)):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=member) if name in names:
                yield member
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id=of), attr=name), attr=member):
                if (of, name) == (module, enum):
                    yield member
