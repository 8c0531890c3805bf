"""Which codes are taken (A2, A11), and the three counters (B1)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licet.lots import Codes, Range, take

# A range is written first_number:consumed/quantity, with @day where its lot has a use_by, and what is taken
# first_number+quantity. All of it happens on the 10th.
NOW = datetime(2026, 1, 10, tzinfo=UTC)


@pytest.mark.table("""
    ranges                       asked  taken
    -                            1      -
    1:0/500                      0      -
    1:0/500                      1      1+1
    1:0/500                      3      1+3
    1:499/500                    1      500+1
    1:499/500                    2      500+1
    1:500/500                    1      -
    1:500/500 501:0/10           2      501+2
    1:498/500 501:0/10           5      499+2 501+3
    501:0/10 1:498/500           5      499+2 501+3
    1:0/10 11:0/10@20            3      11+3
    1:0/10 11:0/10@20            13     11+10 1+3
    1:0/10@25 11:0/10@20 21:0/5  12     11+10 1+2
    1:0/10@20 11:0/10@20         12     1+10 11+2
    1:0/10@10 11:0/10            2      11+2
    1:0/10@09                    2      -
    1:3/10@11                    2      4+2
    1:0/2 3:0/2 5:0/2            9      1+2 3+2 5+2
""")
def test_those_that_would_be_lost_soonest_are_taken_first_then_the_lowest_numbers(
    ranges: str, asked: str, taken: str
) -> None:
    takings = take([_range(each) for each in ranges.split()], int(asked), at=NOW)
    assert " ".join(f"{taking.first_number}+{taking.quantity}" for taking in takings) == taken


@pytest.mark.table("""
    range     on  left
    1:0/5     09  5
    1:5/5     09  0
    1:2/5@10  09  3
    1:2/5@10  10  0
    1:2/5@10  11  0
""")
def test_what_is_left_of_a_range_is_gone_at_its_use_by(range: str, on: str, left: str) -> None:  # noqa: A002
    assert _range(range).left(_day(on)) == int(left)


@pytest.mark.table("""
    available  consumed  total
    0          0         0
    10         0         10
    0          10        10
    120        380       500
""")
def test_total_is_available_and_consumed(available: str, consumed: str, total: str) -> None:
    assert Codes(int(available), int(consumed)).total == int(total)


_uses = st.none() | st.integers(9, 12).map(lambda day: datetime(2026, 1, day, tzinfo=UTC))
_shapes = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), _uses), max_size=6)


@given(_shapes, st.integers(0, 60))
def test_never_more_than_asked_never_more_than_left_and_no_number_twice(
    shapes: list[tuple[int, int, datetime | None]], asked: int
) -> None:
    ranges, number = [], 1
    for quantity, consumed, use_by in shapes:
        ranges.append(Range(number, quantity, min(consumed, quantity), use_by))
        number += quantity
    takings = take(ranges, asked, at=NOW)
    numbers = [n for taking in takings for n in range(taking.first_number, taking.first_number + taking.quantity)]
    left = {
        n
        for each in ranges
        if each.use_by is None or each.use_by > NOW
        for n in range(each.first_number + each.consumed, each.first_number + each.quantity)
    }
    assert len(numbers) == min(asked, len(left))
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= left


@given(_shapes, st.integers(0, 30), st.integers(0, 30))
def test_what_is_granted_is_the_beginning_of_what_more_would_get(
    shapes: list[tuple[int, int, datetime | None]], fewer: int, further: int
) -> None:
    ranges, number = [], 1
    for quantity, consumed, use_by in shapes:
        ranges.append(Range(number, quantity, min(consumed, quantity), use_by))
        number += quantity

    def numbers(asked: int) -> list[int]:
        takings = take(ranges, asked, at=NOW)
        return [n for taking in takings for n in range(taking.first_number, taking.first_number + taking.quantity)]

    granted = numbers(fewer)
    assert numbers(fewer + further)[: len(granted)] == granted


def _range(text: str) -> Range:
    first, _, rest = text.partition(":")
    consumed, _, rest = rest.partition("/")
    quantity, _, use_by = rest.partition("@")
    return Range(int(first), int(quantity), int(consumed), _day(use_by) if use_by else None)


def _day(text: str) -> datetime:
    return datetime(2026, 1, int(text), tzinfo=UTC)
