"""The bond of one code, one device and one span of time (rules C1, D7). It is kept for good."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from licet.refusals import Refused

#: A device whose code has this long or less to go is near its expiry (rule D6).
NEAR_EXPIRY = timedelta(days=30)


class Reason(IntEnum):
    """Why a code was consumed."""

    FIRST = 1  # the device connected for the first time
    RENEWAL = 2  # it followed the device's previous code
    REACTIVATION = 3  # the device came back after it had lapsed


class Lapse(StrEnum):
    """Why a span ended and none followed it. Decided once, at the instant at which the span ended."""

    NO_CODE_AVAILABLE = "no_code_available"
    RENEWAL_OFF = "renewal_off"
    ON_CONNECT = "on_connect"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Activation:
    """One span of a device, [starts_at, ends_at) in UTC, the number of the code it cost, and where that came from."""

    ordinal: int
    number: int
    starts_at: datetime
    ends_at: datetime
    reason: Reason
    lot_id: str
    order_reference: str
    lapse: Lapse | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a knock is told: in until an instant (None: for good, a virtual device), or why not."""

    until: datetime | None = None
    refusal: Refused | None = None

    @property
    def admitted(self) -> bool:
        return self.refusal is None


@dataclass(frozen=True, slots=True)
class Latest:
    """Where a device stands when it wants a code: its last span, if it ever had one, and whether it may renew."""

    device_id: int
    device_key: str
    ordinal: int
    ends_at: datetime | None
    renews: bool
    deleted: bool


@dataclass(frozen=True, slots=True)
class Consumption:
    """A code about to be consumed by a device: its ``ordinal``-th, and why."""

    device_id: int
    device_key: str
    number: int
    ordinal: int
    reason: Reason
