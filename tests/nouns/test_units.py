"""How long a code lasts (A5)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from licet.units import DayCount, Term


@pytest.mark.table("""
    written   months  days  written_back  in_words
    P5Y       60      0     P5Y           5 years
    P1Y       12      0     P1Y           1 year
    P12M      12      0     P1Y           1 year
    P1Y5M     17      0     P1Y5M         1 year 5 months
    P1Y5M3D   17      3     P1Y5M3D       1 year 5 months 3 days
    P1M       1       0     P1M           1 month
    P360D     0       360   P360D         360 days
    P1D       0       1     P1D           1 day
    P0Y1D     0       1     P1D           1 day
    P100Y     1200    0     P100Y         100 years
""")
def test_a_term_is_read_and_written(written: str, months: str, days: str, written_back: str, in_words: str) -> None:
    term = Term.parse(written)
    assert term == Term(int(months), int(days))
    assert str(term) == written_back
    assert term.in_words() == in_words
    assert Term.parse(str(term)) == term


NO_TERMS = ["", "P", "P0D", "P0Y0M0D", "5Y", "p5y", "P5", "P-1Y", "P1.5Y", "P1W", "PT1H", "P1YT1H", "P1M1Y", "P1D1M"]
NO_TERMS += [" P1Y", "P1Y ", "P1Y\n", "P\u0661Y", "P999Y", "P9999M", "P99999D", "P1000Y", "P" + "9" * 5000 + "D"]


@pytest.mark.parametrize("written", NO_TERMS, ids=range(len(NO_TERMS)))
def test_anything_else_is_no_term(written: str) -> None:
    with pytest.raises(ValueError, match="a term is"):
        Term.parse(written)


@pytest.mark.table("""
    day_count  term     starts_at                   ends_at
    calendar   P1Y      2026-02-01 08:00            2027-02-01 08:00
    calendar   P1Y      2024-02-29 12:00            2025-02-28 12:00
    calendar   P4Y      2024-02-29 12:00            2028-02-29 12:00
    calendar   P1M      2025-01-31 00:00            2025-02-28 00:00
    calendar   P1M      2024-01-31 00:00            2024-02-29 00:00
    calendar   P1M      2025-02-28 00:00            2025-03-28 00:00
    calendar   P2M      2025-12-31 23:59:59.999999  2026-02-28 23:59:59.999999
    calendar   P1Y5M    2026-10-31 00:00            2028-03-31 00:00
    calendar   P1M1D    2025-01-31 00:00            2025-03-01 00:00
    calendar   P360D    2026-01-01 00:00            2026-12-27 00:00
    calendar   P5Y      2026-01-01 00:00            2031-01-01 00:00
    30/360     P1Y      2024-08-07 00:00            2025-08-02 00:00
    30/360     P5Y      2024-01-12 00:00            2028-12-16 00:00
    30/360     P1M      2025-01-31 06:30            2025-03-02 06:30
    30/360     P1Y5M3D  2026-01-01 00:00            2027-05-29 00:00
    30/360     P360D    2024-08-07 00:00            2025-08-02 00:00
""")
def test_a_span_ends_when_its_term_is_over(day_count: str, term: str, starts_at: str, ends_at: str) -> None:
    assert Term.parse(term, DayCount(day_count)).ends_at(_utc(starts_at)) == _utc(ends_at)


def test_a_term_is_counted_in_utc_wherever_it_begins() -> None:
    eastern = timezone(timedelta(hours=9))
    starts_at = datetime(2025, 2, 1, 3, 0, tzinfo=eastern)
    ends_at = Term.parse("P1M").ends_at(starts_at)
    assert ends_at == _utc("2025-02-28 18:00")
    assert ends_at.utcoffset() == timedelta(0)


@pytest.mark.table("""
    term     day_count  at_least  typical
    P1M      calendar   28        30.436875
    P1M      30/360     30        30
    P1Y      calendar   336       365.2425
    P1Y      30/360     360       360
    P5Y      calendar   1680      1826.2125
    P360D    calendar   360       360
    P1Y5M2D  30/360     512       512
""")
def test_how_many_days_a_term_comes_to(term: str, day_count: str, at_least: str, typical: str) -> None:
    read = Term.parse(term, DayCount(day_count))
    assert read.days_at_least == int(at_least)
    assert read.days_typical == float(typical)


def test_a_term_of_months_says_its_day_count_when_it_is_not_the_calendars() -> None:
    assert Term.parse("P1Y", DayCount.THIRTY_360).in_words() == "1 year (30/360)"
    assert Term.parse("P1Y", DayCount.THIRTY_360) != Term.parse("P1Y")


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_term_of_days_is_the_same_by_either_day_count() -> None:
    """A5, A6: the day count is about months, so where there are none it makes no other allowance."""
    by_calendar, by_thirties = (Term.parse("P360D", day_count) for day_count in DayCount)
    assert by_calendar == by_thirties
    assert hash(by_calendar) == hash(by_thirties)
    assert Term.parse("P12M", DayCount.CALENDAR) != Term.parse("P12M", DayCount.THIRTY_360)
