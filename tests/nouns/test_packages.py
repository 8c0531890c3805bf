"""What a code allows (A3), which allowance covers which, and from when a new one counts (A6, A7)."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from licet.packages import Allowance, upgrade_takes_effect_at
from licet.units import DayCount, Term


@pytest.mark.table("""
    allowance       in_words
    P5Y 1500 1 7    5 years, 1500 messages a day, 1 OTA upgrade a month, 7 days of storage
    P1Y 0 0 0       1 year, 0 messages a day, 0 OTA upgrades a month, 0 days of storage
    P360D 1 12 1    360 days, 1 messages a day, 12 OTA upgrades a month, 1 day of storage
""")
def test_an_allowance_in_words(allowance: str, in_words: str) -> None:
    assert _allowance(allowance).in_words() == in_words


@pytest.mark.table("""
    offered          current          covers
    P5Y 1500 1 7     P5Y 1500 1 7     yes
    P5Y 1501 1 7     P5Y 1500 1 7     yes
    P5Y 1500 2 7     P5Y 1500 1 7     yes
    P5Y 1500 1 8     P5Y 1500 1 7     yes
    P6Y 1500 1 7     P5Y 1500 1 7     yes
    P4Y 1500 1 7     P5Y 1500 1 7     no
    P5Y 1499 1 7     P5Y 1500 1 7     no
    P5Y 1500 0 7     P5Y 1500 1 7     no
    P5Y 1500 1 6     P5Y 1500 1 7     no
    P9Y 9999 9 6     P5Y 1500 1 7     no
    P12M 1500 1 7    P1Y 1500 1 7     yes
    P365D 1500 1 7   P1Y 1500 1 7     no
    P366D 1500 1 7   P1Y 1500 1 7     yes
    P1Y 1500 1 7     P365D 1500 1 7   yes
    P30D 1500 1 7    P1M 1500 1 7     no
    P31D 1500 1 7    P1M 1500 1 7     yes
""")
def test_an_upgrade_goes_upward_on_every_figure(offered: str, current: str, covers: str) -> None:
    assert _allowance(offered).covers(_allowance(current)) is (covers == "yes")


def test_a_year_of_360_days_is_shorter_than_a_calendar_year() -> None:
    calendar = Allowance(Term.parse("P1Y"), 1500, 1, 7)
    short = Allowance(Term.parse("P1Y", DayCount.THIRTY_360), 1500, 1, 7)
    assert calendar.covers(short)
    assert not short.covers(calendar)


@pytest.mark.table("""
    one            other            same
    P1Y 1500 1 7   P12M 1500 1 7    yes
    P1Y 1500 1 7   P365D 1500 1 7   no
    P1Y 1500 1 7   P1Y 1500 1 8     no
""")
def test_the_same_allowance_under_any_name_of_its_term(one: str, other: str, same: str) -> None:
    assert (_allowance(one) == _allowance(other)) is (same == "yes")


@pytest.mark.table("""
    time_zone            now                  counts_from
    UTC                  2026-05-04 00:00     2026-05-05 00:00
    UTC                  2026-05-04 23:59:59  2026-05-05 00:00
    Europe/Berlin        2026-05-04 12:00     2026-05-04 22:00
    Europe/Berlin        2026-05-04 22:00     2026-05-05 22:00
    Asia/Shanghai        2026-05-04 15:59     2026-05-04 16:00
    America/Los_Angeles  2026-05-04 06:30     2026-05-04 07:00
    Europe/Berlin        2026-03-28 23:00     2026-03-29 22:00
    Africa/Cairo         2026-04-23 12:00     2026-04-23 22:00
    Asia/Beirut          2026-03-28 12:00     2026-03-28 22:00
""")
def test_an_upgrade_counts_from_the_accounts_next_midnight(time_zone: str, now: str, counts_from: str) -> None:
    at = upgrade_takes_effect_at(_utc(now), time_zone)
    assert at == _utc(counts_from)
    assert at.astimezone(ZoneInfo(time_zone)).date() > _utc(now).astimezone(ZoneInfo(time_zone)).date()


def _allowance(text: str) -> Allowance:
    term, messages, upgrades, storage = text.split()
    return Allowance(Term.parse(term), int(messages), int(upgrades), int(storage))


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
