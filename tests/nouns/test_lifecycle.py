"""State is derived from spans and a given now (D7): time expires a device, no job does."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from licet.lifecycle import STEPS, CodeState, DeviceState, state_at


@dataclass(frozen=True)
class Stretch:
    starts_at: datetime
    ends_at: datetime


# Days of January; a span is written from-to.
@pytest.mark.table("""
    spans        on  state
    -            10  inactive
    05-15        10  active
    05-15        05  active
    05-10        10  inactive
    05-09        10  inactive
    01-05 05-15  05  active
    01-05 05-15  15  inactive
    01-05 10-15  07  active
    12-15        10  active
""")
def test_active_means_that_a_span_has_yet_to_end(spans: str, on: str, state: str) -> None:
    stretches = [Stretch(*(_day(day) for day in span.split("-"))) for span in spans.split()]
    assert state_at(stretches, _day(on)) is DeviceState(state)


def test_a_code_is_never_given_back() -> None:
    """A10, C6: no step leads out of consumed or gone, and none back to unassigned."""
    for step in STEPS:
        assert step.source not in (CodeState.CONSUMED, CodeState.GONE)
        assert step.source is None or step.target is not CodeState.UNASSIGNED


def test_a_step_stays_with_its_own_kind() -> None:
    for step in STEPS:
        assert step.source is None or type(step.source) is type(step.target)


def test_every_state_can_be_reached_and_nothing_but_a_code_is_ever_final() -> None:
    reached = {step.target for step in STEPS}
    left = {step.source for step in STEPS}
    assert reached == {*CodeState, *DeviceState}
    assert {*CodeState, *DeviceState} - left == {CodeState.CONSUMED, CodeState.GONE}


def test_a_device_becomes_active_only_by_consuming_a_code() -> None:
    """C1: admit and renew make devices active, and both of them consume codes."""
    by = {step.verb for step in STEPS if step.target is DeviceState.ACTIVE}
    assert by == {step.verb for step in STEPS if step.target is CodeState.CONSUMED}


def test_only_time_makes_a_device_inactive_again() -> None:
    ends = {step.verb for step in STEPS if (step.source, step.target) == (DeviceState.ACTIVE, DeviceState.INACTIVE)}
    assert ends == {"time"}


def _day(text: str) -> datetime:
    return datetime(2026, 1, int(text), tzinfo=UTC)
