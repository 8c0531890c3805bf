"""The docs are true: what is made from code says what the code says, links lead somewhere, versions are told."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import licet
from licet.events import MEANINGS, Kind
from licet.lifecycle import STEPS
from licet.run import docs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def test_a_page_that_is_made_from_code_says_what_the_code_says() -> None:
    outdated = [page.name for page, text in docs.pages().items() if page.read_text("utf-8") != text]
    assert not outdated, "python -m licet.run.docs --write"


def test_a_page_that_says_something_else_would_be_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = docs.filled((DOCS / "the-life-of-a-code.md").read_text("utf-8"), "lifecycle.py", "something else\n")
    assert page != docs.pages()[DOCS / "the-life-of-a-code.md"]
    with pytest.raises(ValueError, match="no place"):
        docs.filled("A page without marks.", "lifecycle.py", "")
    assert docs.main([]) == 0
    assert capsys.readouterr().out == ""


def test_the_diagram_has_every_step() -> None:
    made = docs.life_of_a_code()
    assert made.count(" --> ") == len(STEPS)
    labels = [line.partition(": ")[2] for line in made.splitlines() if " --> " in line]
    assert not [label for label in labels if ":" in label or ";" in label]


def test_every_event_says_what_it_means() -> None:
    assert list(MEANINGS) == list(Kind)
    assert all(says.endswith(".") for says, _ in MEANINGS.values())


def test_every_link_leads_somewhere() -> None:
    dead = [f"{page.relative_to(ROOT)}: {link}" for page in _pages() for link in _dead_links(page)]
    assert not dead


def test_a_dead_link_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n[a](nowhere.md) [b](#not-here) [c](#a-page) [d](page.md) [e](https://www.rfc-editor.org)\n"
    )
    assert list(_dead_links(page)) == ["nowhere.md", "#not-here"]


def test_every_page_is_linked_from_another() -> None:
    """What nobody links to, nobody reads."""
    linked = {_target(page, link) for page in _pages() for link in _LINK.findall(page.read_text("utf-8"))}
    assert not [page for page in _pages() if page.is_relative_to(DOCS) and page.resolve() not in linked]


def test_the_changelog_tells_of_this_version() -> None:
    told = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert told[0] == licet.__version__
    assert _project()["project"]["version"] == licet.__version__


def test_decisions_are_numbered_and_short() -> None:
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    assert [path.name[:4] for path in decisions] == [f"{number:04}" for number in range(1, len(decisions) + 1)]
    for path in decisions:
        lines = path.read_text("utf-8").splitlines()
        assert len(lines) <= 40, path.name
        assert lines[0].startswith(f"# {path.name[:4]} "), path.name


def test_the_oldest_python_is_the_same_everywhere() -> None:
    project = _project()
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["ruff"]["target-version"] == "py311"
    assert project["tool"]["mypy"]["python_version"] == "3.11"


def _project() -> dict[str, dict[str, dict[str, str]]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))  # type: ignore[return-value]


def _pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def _prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)


def _dead_links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(_prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        target = _target(page, link)
        anchor = link.partition("#")[2]
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            yield link


def _target(page: Path, link: str) -> Path:
    path = link.partition("#")[0]
    return (page.parent / path).resolve() if path else page.resolve()


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
