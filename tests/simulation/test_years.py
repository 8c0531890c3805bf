"""Whole years of the trade on real books, with everything that goes wrong, held against the rules at every step."""

import pytest
from tests.simulation.stories import story
from tests.simulation.theatre import Theatre


async def _play(theatre: Theatre, seeds: list[int]) -> None:
    for seed in seeds:
        found = await theatre.trouble(seed)
        if found is not None:
            pytest.fail(await theatre.told(seed, *found), pytrace=False)


@pytest.mark.parametrize("first", [0, 3, 6, 9])
async def test_years_that_are_always_the_same(theatre: Theatre, first: int) -> None:
    await _play(theatre, list(range(first, first + 3)))


async def test_years_that_nobody_has_seen_before(theatre: Theatre, random_seeds: list[int]) -> None:
    await _play(theatre, random_seeds)


def test_a_seed_tells_the_same_story_always() -> None:
    assert list(map(str, story(7))) == list(map(str, story(7)))
    assert list(map(str, story(7))) != list(map(str, story(8)))


async def test_crashes_do_happen(theatre: Theatre) -> None:
    assert [await theatre.trouble(seed) for seed in range(20, 25)] == [None] * 5
    assert theatre.struck > 10
    assert theatre.years > 10
