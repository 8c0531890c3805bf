"""Everything licet says has happened, in the past tense.

An event is written in the transaction that made it true, and told to the outside afterwards, at least once and under
the same id each time. Like the verbs, an event is batch shaped: it names the product once, and all devices it is about.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What can have happened."""

    ACCOUNT_OPENED = "account_opened"
    ACCOUNT_CHANGED = "account_changed"
    PACKAGE_DEFINED = "package_defined"
    PRODUCT_CREATED = "product_created"
    PRODUCT_CHANGED = "product_changed"
    PRODUCT_UPGRADED = "product_upgraded"
    PRODUCT_DELETED = "product_deleted"
    CODES_CREDITED = "codes_credited"
    CODES_ASSIGNED = "codes_assigned"
    DEVICES_IMPORTED = "devices_imported"
    DEVICE_REGISTERED = "device_registered"
    DEVICE_RESET = "device_reset"
    DEVICE_DELETED = "device_deleted"
    RENEWAL_SWITCHED = "renewal_switched"
    DEVICES_ACTIVATED = "devices_activated"
    DEVICES_RENEWED = "devices_renewed"
    DEVICES_LAPSED = "devices_lapsed"
    DEVICES_NEAR_EXPIRY = "devices_near_expiry"
    CODES_WILL_RUN_OUT = "codes_will_run_out"


#: After these, sessions that are open at the broker are no longer permitted: the broker is told to hang up.
REVOKING = frozenset({Kind.DEVICE_DELETED, Kind.DEVICE_RESET, Kind.PRODUCT_DELETED})


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that has just become true, before the books have given it an id."""

    kind: Kind
    account_id: str | None = None
    product_key: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """A happening in the books. ``id`` grows; those who hear an event twice know it by its id."""

    id: int
    at: datetime
    kind: Kind
    account_id: str | None
    product_key: str | None
    facts: dict[str, Any]
