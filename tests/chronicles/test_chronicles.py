"""Whole stories, dated, in the trade's words: each ``.md`` beside this file is one, and a page of the manual.

A line says when, what happens, and what follows; two or more spaces part them. Lines without a date say more about what
followed: a sentence in quotes is what licet said. Every line is done by the real verbs in real books, with ``now`` as
it says; after every line the counters must add up and no spans of a device may overlap.
"""

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from chronicles import messages, month, upgrades, what_follows, what_happens
from chronicles.stage import FOLLOWS, HAPPENS, Said, Stage, instant

from licet.events import MEANINGS
from licet.postgres import accounts, events, products
from licet.postgres.books import Books
from licet.refusals import Refused

STORIES = sorted(Path(__file__).parent.glob("*.md"))
WORDS = (what_happens, what_follows, upgrades, messages, month)

_BLOCK = re.compile(r"^```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_DATED = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s{2,}(.+?)(?:\s{2,}(.+))?")


@dataclass
class Line:
    number: int
    now: datetime
    happens: str
    follows: list[str]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.stem)
async def test_a_story_is_true(story: Path, books: Books) -> None:
    on: Stage | None = None
    for line in lines_of(story):
        on = on or Stage(books, line.now)
        assert line.now >= on.now, f"{story.name}:{line.number} goes back in time"
        on.now, on.answers, on.refused, on.said, on.swept, on.most = line.now, [], None, "", None, None
        await _live_through(story, on, line)
        await _adds_up(on)
        await month.adds_up(on)
    assert on is not None, f"{story.name} tells nothing"
    await _events_say_what_they_promise(on)


def test_there_are_stories_and_every_word_is_used() -> None:
    text = [(line.happens, line.follows) for story in STORIES for line in lines_of(story)]
    for pattern, _ in HAPPENS:
        assert any(pattern.fullmatch(happens) for happens, _ in text), pattern.pattern
    for pattern, _ in FOLLOWS:
        assert any(pattern.fullmatch(each) for _, follows in text for each in follows), pattern.pattern


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ("acme opens an account as an enterprise  unassigned 9", "unassigned 9"),
        ("acme opens an account as an enterprise  refused not_found", "refused not_found"),
        ("acme becomes an enterprise", "becomes"),
        ("acme dances", "dances"),
        ("acme opens an account as an enterprise  happiness", "happiness"),
    ],
)
async def test_a_story_that_is_not_true_is_found(told: str, wrong: str, books: Books, tmp_path: Path) -> None:
    story = tmp_path / "false.md"
    story.write_text(f"# False\n\n```text\n2026-01-10 09:00  {told}\n```\n")
    with pytest.raises(pytest.fail.Exception, match=wrong):
        await test_a_story_is_true(story, books)


def lines_of(story: Path) -> Iterator[Line]:
    text = story.read_text("utf-8")
    for block in _BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1)) + 1
        told: list[Line] = []
        for number, written in enumerate(block[1].splitlines(), first):
            if dated := _DATED.fullmatch(written.rstrip()):
                told.append(Line(number, instant(dated[1]), dated[2], _parts(dated[3] or "")))
            elif written.strip():
                told[-1].follows += _parts(written.strip())
        yield from told


def _parts(follows: str) -> list[str]:
    if follows.startswith('"'):
        return [follows]
    return [part for part in re.split(r"; ", follows) if part]


async def _live_through(story: Path, on: Stage, line: Line) -> None:
    where = f"{story.name}:{line.number}"
    act, words = _found(HAPPENS, line.happens, where)
    try:
        await act(on, *words)
    except Refused as no:
        on.refused = no
    except Exception as fault:
        raise pytest.fail.Exception(f"{where}: {line.happens}: {fault!r}") from fault
    for part in line.follows:
        see, words = _found(FOLLOWS, part, where)
        try:
            await see(on, *words)
        except Exception as untrue:
            raise pytest.fail.Exception(f"{where}: {line.happens}: not true: {part}\n{untrue}") from untrue
    if on.refused is not None and not on.answers and not on.said:
        pytest.fail(f"{where}: {line.happens}: {on.refused}")


def _found(said: list[Said], text: str, where: str) -> tuple[Callable[..., Awaitable[None]], tuple[str, ...]]:
    matches = [(act, match.groups()) for pattern, act in said if (match := pattern.fullmatch(text))]
    if len(matches) != 1:
        pytest.fail(f"{where}: {len(matches)} ways to understand: {text}")
    return matches[0]


async def _adds_up(on: Stage) -> None:
    """Total = available + consumed; products + unassigned = account; codes consumed = spans; spans never overlap."""
    spans = {device: await on.spans(device) for device in on.of_product}
    for account_id in on.account_ids.values():
        of_account = await accounts.codes(on.books, account_id, now=on.now)
        of_products = await products.page(on.books, account_id, limit=200, now=on.now)
        assert of_account.codes.total == of_account.unassigned + sum(each.codes.total for each in of_products)
        assert of_account.codes.consumed == sum(each.codes.consumed for each in of_products)
        assert of_account.codes.available >= of_account.unassigned >= 0
        for product in of_products:
            names = [name for name, key in on.product_keys.items() if key == product.product_key]
            numbers = [span.number for name, of in spans.items() if on.of_product[name] in names for span in of]
            assert len(numbers) == len(set(numbers)) == product.codes.consumed
    for device, of_device in spans.items():
        assert [span.ordinal for span in of_device] == list(range(1, len(of_device) + 1)), device
        assert all(one.ends_at <= next_one.starts_at for one, next_one in pairwise(of_device)), device


async def _events_say_what_they_promise(on: Stage) -> None:
    """The facts of every event are those that the manual names."""
    told = await events.page(on.books, None, after=None, limit=10_000)
    assert told
    for event in told:
        assert set(event.facts) <= set(MEANINGS[event.kind][1]), event
