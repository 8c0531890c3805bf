"""A term comes to the same instant in Python, where a first connect is counted, and in SQL, where renewals are (A5)."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from licet.units import DayCount, Term

_terms = st.builds(Term, st.integers(0, 1200), st.integers(1, 9999), st.sampled_from(DayCount)) | st.builds(
    Term, st.integers(1, 1200), st.just(0), st.sampled_from(DayCount)
)
_starts = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - UTC is added
_leap_days = (
    st.integers(2000, 2199)
    .filter(lambda year: year % 4 == 0 and year != 2100)
    .map(lambda year: datetime(year, 2, 29, 12, tzinfo=UTC))
)


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[psycopg.Connection[tuple[datetime]]]:
    with psycopg.connect(postgres_url, autocommit=True, options="-c timezone=UTC") as connection:
        yield connection


@given(st.lists(st.tuples(_terms, _starts | _leap_days), min_size=20, max_size=100))
def test_a_term_ends_alike_in_python_and_in_sql(
    connection: psycopg.Connection[tuple[datetime]], cases: list[tuple[Term, datetime]]
) -> None:
    rows = connection.execute(
        """
        SELECT starts_at + make_interval(months => months, days => days)
        FROM unnest(%(starts_at)s::timestamptz[], %(months)s::integer[], %(days)s::integer[])
             WITH ORDINALITY AS t (starts_at, months, days, n)
        ORDER BY n
        """,
        {
            "starts_at": [starts_at for _, starts_at in cases],
            "months": [0 if term.day_count is DayCount.THIRTY_360 else term.months for term, _ in cases],
            "days": [
                term.months * 30 + term.days if term.day_count is DayCount.THIRTY_360 else term.days
                for term, _ in cases
            ],
        },
    ).fetchall()
    assert [row[0] for row in rows] == [term.ends_at(starts_at) for term, starts_at in cases]


@given(_terms, _starts, _starts)
@example(Term(1, 0), datetime(2031, 1, 28, 21, 45, tzinfo=UTC), datetime(2031, 1, 29, 10, 14, tzinfo=UTC))
def test_who_begins_later_never_ends_on_an_earlier_day(term: Term, one: datetime, other: datetime) -> None:
    """Renewals of a slice of time rely on it (decision 0002)."""
    first, second = sorted((one, other))
    assert first < term.no_end_before(first) <= min(term.ends_at(first), term.ends_at(second))
