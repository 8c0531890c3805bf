"""Which top-ups an excess is offset by: earliest expiry first, then the oldest (rule G2)."""

from datetime import UTC, datetime

import pytest

from licet.excess import Topup, settle

AT = datetime(2026, 2, 1, tzinfo=UTC)
SOON, LATE = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
OLD, NEW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param((SOON, NEW), (LATE, OLD), id="the earlier expiry, though it is newer"),
        pytest.param((LATE, NEW), (None, OLD), id="one that expires, before one that never does"),
        pytest.param((SOON, OLD), (SOON, NEW), id="of two that expire together, the older"),
        pytest.param((None, OLD), (None, NEW), id="of two that never expire, the older"),
    ],
)
def test_they_are_drawn_in_order(
    first: tuple[datetime | None, datetime], second: tuple[datetime | None, datetime]
) -> None:
    # The first one has the later id, so that no order of ids can stand in for this one.
    topups = [Topup("a", 10, 10, *second), Topup("b", 10, 10, *first)]
    for given in (topups, topups[::-1]):
        drawn = settle(15, given, at=AT)
        assert (drawn.settled, drawn.owed, drawn.drawn) == (15, 0, (("b", 10), ("a", 5)))
