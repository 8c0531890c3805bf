"""Firmware, and the upgrades of devices with it (rules F1 to F3).

An upgrade is reserved at its start, charged when its transfer completes, and released when that fails. A campaign
offers a firmware to many devices; each of them takes its offer up when it fetches the first byte.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from licet.allowances import Drawn

IDLE = timedelta(hours=24)  # after which an upgrade that nobody has heard of is released


class UpgradeState(StrEnum):
    OFFERED = "offered"  # by a campaign; costs nothing yet
    RESERVED = "reserved"  # under way; its attempts are held
    COMPLETED = "completed"  # charged
    FAILED = "failed"  # released
    WITHDRAWN = "withdrawn"  # offered, and the campaign was stopped before the device took it up


@dataclass(frozen=True, slots=True)
class Firmware:
    """A file that devices are upgraded with. It never changes: other bytes are another firmware."""

    id: str
    account_id: str
    name: str
    bytes: int
    sha256: str  # in hex
    uploaded_at: datetime
    uploaded_by: str


@dataclass(frozen=True, slots=True)
class Upgrade:
    """One device's upgrade. ``sent``: the bytes that licet itself has sent of it.

    ``drawn``: what its attempts come to while they are held or charged; nothing before and after.
    """

    id: str
    account_id: str
    product_key: str
    device_key: str
    campaign_id: str | None
    firmware_id: str | None
    state: UpgradeState
    bytes: int
    sent: int
    attempts: int
    allowance: int
    drawn: Drawn
    began_at: datetime
    reserved_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Campaign:
    """A firmware offered to devices of one product. ``progress``: how many of its upgrades are in each state."""

    id: str
    account_id: str
    product_key: str
    firmware_id: str
    started_at: datetime
    started_by: str
    stopped_at: datetime | None
    progress: dict[UpgradeState, int]


@dataclass(frozen=True, slots=True)
class Transfer:
    """A device's fetch of a firmware as far as it has come."""

    upgrade_id: str
    state: UpgradeState
    sent: int
    ended_at: datetime | None

    def goes_on(self, bytes_of_file: int, first: int, now: datetime) -> bool:
        """Whether a fetch that begins at byte ``first`` is still this one, and so costs nothing more.

        For a day after its end a device may ask for parts that were not sent yet, as one does that fetches several at
        a time; and again for parts that were sent and have not arrived, up to twice the file.
        """
        if self.state is UpgradeState.RESERVED:
            return True
        if self.state is not UpgradeState.COMPLETED or self.ended_at is None or self.ended_at + IDLE <= now:
            return False
        return self.sent < bytes_of_file or (first > 0 and self.sent < 2 * bytes_of_file)
