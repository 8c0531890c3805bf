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
    ALLOWANCE_NEARLY_USED = "allowance_nearly_used"
    ALLOWANCE_USED_UP = "allowance_used_up"
    DEVICES_CUT_OFF = "devices_cut_off"
    TOPPED_UP = "topped_up"
    STATEMENT_CLOSED = "statement_closed"
    BILL_PAID = "bill_paid"
    OTA_OFFERED = "ota_offered"
    OTA_COMPLETED = "ota_completed"
    OTA_FAILED = "ota_failed"


#: What each of them says, and the names of the facts that come with it.
MEANINGS: dict[Kind, tuple[str, tuple[str, ...]]] = {
    Kind.ACCOUNT_OPENED: ("An account was opened.", ("name", "kind", "time_zone", "mode")),
    Kind.ACCOUNT_CHANGED: ("An account became something else: as it is now.", ("name", "kind", "time_zone", "mode")),
    Kind.PACKAGE_DEFINED: ("A package was defined.", ("package_id", "name", "allowance")),
    Kind.PRODUCT_CREATED: ("A product was created.", ("name",)),
    Kind.PRODUCT_CHANGED: (
        "A product's settings changed, as they are now; or its secret was reset.",
        (
            "name",
            "auto_renewal",
            "renewal_policy",
            "dynamic_authentication",
            "product_secret",
            "keep_days",
            "starts_on",
        ),
    ),
    Kind.PRODUCT_UPGRADED: (
        "A product has another package; messages and OTA upgrades count by it from an instant on.",
        ("from", "to", "counts_from", "forced"),
    ),
    Kind.PRODUCT_DELETED: ("A product was deleted; its codes are forfeited.", ("name", "available", "consumed")),
    Kind.CODES_CREDITED: ("An account was credited codes.", ("lot_id", "package", "quantity", "order_reference")),
    Kind.CODES_ASSIGNED: ("Codes were assigned to a product.", ("assignment_id", "package", "quantity")),
    Kind.DEVICES_IMPORTED: ("Devices were imported.", ("count", "device_keys")),
    Kind.DEVICE_REGISTERED: ("A device was issued its secret.", ("device_keys",)),
    Kind.DEVICE_RESET: ("A device's secret was replaced; it was put out.", ("device_keys",)),
    Kind.DEVICE_DELETED: ("A device was deleted; it was put out.", ("device_keys",)),
    Kind.RENEWAL_SWITCHED: ("Devices were set to renew, or not to.", ("renews", "device_keys")),
    Kind.DEVICES_ACTIVATED: (
        "Devices connected and consumed a code each, all for one span: their keys, and their codes' numbers in order.",
        ("starts_at", "ends_at", "reason", "count", "device_keys", "numbers"),
    ),
    Kind.DEVICES_RENEWED: ("Codes expired and the next ones followed.", ("count", "device_keys")),
    Kind.DEVICES_LAPSED: ("Codes expired, none followed, and why.", ("reason", "count", "device_keys")),
    Kind.DEVICES_NEAR_EXPIRY: (
        "Devices of a product expire within so many days, the first of them at an instant.",
        ("days", "count", "first_expires_at"),
    ),
    Kind.CODES_WILL_RUN_OUT: (
        "A product's codes do not cover the renewals of so many days.",
        ("days", "needed", "available"),
    ),
    Kind.ALLOWANCE_NEARLY_USED: (
        "Devices have used 70 or 90 per cent of a day's allowance; without a product, all of an account's together.",
        ("usage", "on", "percent", "device_keys"),
    ),
    Kind.ALLOWANCE_USED_UP: (
        "Devices have used a day's allowance; without a product, all of an account's together. Beyond is excess.",
        ("usage", "on", "percent", "device_keys"),
    ),
    Kind.DEVICES_CUT_OFF: (
        "Devices of an account that blocks have used a day's allowance, and are out until the day ends.",
        ("until", "device_keys"),
    ),
    Kind.TOPPED_UP: (
        "An account bought, or was given, units that offset its excess.",
        ("topup_id", "usage", "quantity", "reference"),
    ),
    Kind.STATEMENT_CLOSED: (
        "An account's month was closed; what each kind came to, and what is owed of it.",
        ("month", "kinds"),
    ),
    Kind.BILL_PAID: (
        "Units of a bill were marked as paid.",
        ("month", "usage", "quantity", "reference"),
    ),
    Kind.OTA_OFFERED: (
        "A campaign offered devices a firmware: where they fetch it, how many bytes it has, and their hash.",
        ("campaign_id", "firmware_id", "url", "bytes", "sha256", "device_keys"),
    ),
    Kind.OTA_COMPLETED: (
        "Upgrades were completed, and charged as so many attempts each.",
        ("ids", "attempts", "device_keys"),
    ),
    Kind.OTA_FAILED: ("Upgrades failed, and were released.", ("ids", "device_keys")),
}

#: After these, sessions that are open at the broker are no longer permitted: the broker is told to hang up.
REVOKING = frozenset({Kind.DEVICE_DELETED, Kind.DEVICE_RESET, Kind.PRODUCT_DELETED, Kind.DEVICES_CUT_OFF})


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
