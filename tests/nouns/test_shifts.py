"""What time it was for licet, when it was told to live at another time than it is."""

from datetime import UTC, datetime, timedelta

import pytest

from licet.shifts import REAL, Shift, Shifts


def at(written: str) -> datetime:
    """A day of 2026 with its hour, or of another year: ``03-05 10`` or ``2027-03-05 10``."""
    day, hour = written.split()
    year = "" if day.count("-") == 2 else "2026-"
    return datetime.fromisoformat(f"{year}{day}T{hour if ':' in hour else hour + ':00:00'}+00:00")


YEAR = timedelta(days=365)
ON = Shifts([Shift(at("06-01 10"), YEAR), Shift(at("06-01 12"), YEAR + timedelta(days=8))])
BACK = Shifts([Shift(at("06-01 10"), YEAR), Shift(at("06-01 12"), timedelta())])
BEHIND = Shifts([Shift(at("06-01 10"), -YEAR)])
WAYS = {"real": REAL, "on": ON, "back": BACK, "behind": BEHIND}


@pytest.mark.table("""
    way     real            told
    real    06-01 11        06-01 11
    on      06-01 09:59:59  06-01 09:59:59
    on      06-01 10        2027-06-01 10
    on      06-01 11:59:59  2027-06-01 11:59:59
    on      06-01 12        2027-06-09 12
    on      07-01 12        2027-07-09 12
    back    06-01 11        2027-06-01 11
    back    06-01 12        06-01 12
    behind  06-01 09        06-01 09
    behind  06-01 11        2025-06-01 11
""")
def test_a_message_has_the_time_that_it_was_for_licet(way: str, real: str, told: str) -> None:
    shifts = WAYS[way]
    assert shifts.told(at(real)) == at(told)
    assert shifts.told_second(int(at(real).timestamp())) == at(told).timestamp()


@pytest.mark.table("""
    way     told             begins     ends
    real    06-01 11         06-01 11   06-01 11
    on      05-01 11         05-01 11   05-01 11
    on      06-01 11         06-01 10   06-01 10
    on      2027-06-01 11    06-01 11   06-01 11
    on      2027-06-05 00    06-01 12   06-01 12
    on      2027-06-09 13    06-01 13   06-01 13
    back    06-01 11         06-01 10   06-01 10
    back    2027-06-01 11    06-01 11   2027-06-01 11
    back    06-02 11         06-01 10   06-02 11
    back    2027-08-01 11    2027-08-01 11  2027-08-01 11
    behind  2025-07-01 11    2025-07-01 11  07-01 11
    behind  05-01 11         05-01 11   2027-05-01 11
    behind  2025-05-01 11    2025-05-01 11  2025-05-01 11
""")
def test_what_was_between_two_instants_lies_between_two_real_ones(way: str, told: str, begins: str, ends: str) -> None:
    assert (WAYS[way].begins(at(told)), WAYS[way].ends(at(told))) == (at(begins), at(ends))


@pytest.mark.parametrize("shifts", WAYS.values(), ids=WAYS)
def test_what_came_before_an_instant_or_after_it_is_never_lost(shifts: Shifts) -> None:
    """Every hour of some days around every shift, against every third hour of the times told."""
    hours = [at("05-28 00") + timedelta(hours=n) for n in range(240)]
    for wanted in sorted(shifts.told(hour) for hour in hours)[::3]:
        begins, ends = shifts.begins(wanted), shifts.ends(wanted)
        assert all(shifts.told(hour) < wanted for hour in hours if hour < begins)
        assert all(shifts.told(hour) >= wanted for hour in hours if hour >= ends)
        assert begins <= ends


@pytest.mark.parametrize("shifts", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("edge", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_any_instant_may_be_asked_for(shifts: Shifts, edge: datetime) -> None:
    assert shifts.begins(edge) <= shifts.ends(edge)


NOON = datetime(2026, 6, 2, 12, 0, 0, 700_000, tzinfo=UTC)


@pytest.mark.table("""
    way     ahead_by           ahead
    real    0                  -
    real    1.9                -
    real    -1.9               -
    real    2.6                3
    real    31536000.2         31536000
    real    -86400             -86400
    on      32227200           -
    on      32227201.5         -
    on      32227300           32227300
    on      0                  0
    on      -0.0001            0
    back    0.0001             -
    back    86400              86400
    behind  -31536001          -
    behind  0                  0
""")
def test_only_a_clock_that_goes_otherwise_is_written_down(way: str, ahead_by: str, ahead: str) -> None:
    told = NOON + timedelta(seconds=float(ahead_by))
    shift = Shift(NOON.replace(microsecond=0), timedelta(seconds=int(ahead))) if ahead else None
    assert WAYS[way].next(told=told, real=NOON) == shift


def test_a_shift_never_begins_before_the_last_one() -> None:
    last = Shift(NOON.replace(microsecond=0) + timedelta(hours=1), YEAR)
    assert Shifts([last]).next(told=NOON, real=NOON) == Shift(last.since_at, timedelta())


def test_the_real_time_alone_is_nothing_to_look_at() -> None:
    assert not REAL
    assert BACK
