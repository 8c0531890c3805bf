"""The life of a code and of a device: its states, its steps, and who takes each.

A device is *active* while a span of its covers now, and *inactive* otherwise; nothing else makes it so. A code is
*unassigned* in an account's lot, *available* to a product's devices, and *consumed* by one of them, for good. The table
below is the whole of it; the diagram in ``docs/the-life-of-a-code.md`` is drawn from it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class CodeState(StrEnum):
    UNASSIGNED = "unassigned"
    AVAILABLE = "available"
    CONSUMED = "consumed"
    GONE = "gone"


class DeviceState(StrEnum):
    INACTIVE = "inactive"
    ACTIVE = "active"


State = CodeState | DeviceState


@dataclass(frozen=True, slots=True)
class Step:
    """From one state (None: from nothing) to another, taken by a verb, for a reason that a rule gives."""

    source: State | None
    target: State
    verb: str
    when: str
    rule: str


STEPS = (
    Step(None, CodeState.UNASSIGNED, "mint", "a purchase is credited without a product; free codes", "A8, A9"),
    Step(None, CodeState.AVAILABLE, "mint", "a purchase is credited to a product", "A9"),
    Step(CodeState.UNASSIGNED, CodeState.AVAILABLE, "assign", "to one product, for good", "A10"),
    Step(CodeState.AVAILABLE, CodeState.CONSUMED, "admit", "a device first connects, or comes back", "C1, D1"),
    Step(CodeState.AVAILABLE, CodeState.CONSUMED, "renew", "a device's code expires and a next one follows", "D1"),
    Step(CodeState.UNASSIGNED, CodeState.GONE, "time", "its lot's use_by passes", "A11"),
    Step(CodeState.AVAILABLE, CodeState.GONE, "time", "its lot's use_by passes", "A11"),
    Step(CodeState.AVAILABLE, CodeState.GONE, "enrol", "its product is deleted", "C6"),
    Step(None, DeviceState.INACTIVE, "enrol", "it is imported, or registers with the product's secret", "C3, C5"),
    Step(DeviceState.INACTIVE, DeviceState.ACTIVE, "admit", "it connects and consumes a code", "C1"),
    Step(DeviceState.ACTIVE, DeviceState.ACTIVE, "admit", "it reconnects: costs nothing", "C1"),
    Step(DeviceState.ACTIVE, DeviceState.ACTIVE, "renew", "the next code follows at the instant of expiry", "D1"),
    Step(DeviceState.ACTIVE, DeviceState.INACTIVE, "time", "its code expires and no code follows", "D2, D3"),
)


class Span(Protocol):
    """A half-open stretch of time, [starts_at, ends_at), in UTC."""

    @property
    def starts_at(self) -> datetime: ...
    @property
    def ends_at(self) -> datetime: ...


def state_at(spans: Iterable[Span], now: datetime) -> DeviceState:
    """Active exactly while a span has yet to end.

    A span that seems to begin in the future was written by a machine whose clock is ahead of ours. Its code is
    consumed, so its device is active: the other answer would consume a second one.
    """
    return DeviceState.ACTIVE if any(now < span.ends_at for span in spans) else DeviceState.INACTIVE
