"""Products, their devices, and what a device shows at the door.

A product has a product key (PK), one package (rule A6) and a secret; a device has a device key (DK) within its product.
A device proves itself with its own secret: imported with it (*static*), or issued once in exchange for a proof of the
product's (*dynamic*, rule C5).
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from licet.lifecycle import DeviceState
from licet.lots import Codes
from licet.packages import Package
from licet.units import Term

PRODUCT_KEY = re.compile(r"[A-Za-z0-9]{11}", re.ASCII)
DEVICE_KEY = re.compile(r"[A-Za-z0-9]{4,32}", re.ASCII)  # rule C4
NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
DEVICE_SECRET = re.compile(r"[\x21-\x7e]{8,128}", re.ASCII)
SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)


class RenewalPolicy(StrEnum):
    """When the next code is consumed: at the instant of expiry, or when the device next calls (rule D4)."""

    ON_SCHEDULE = "on_schedule"
    ON_CONNECT = "on_connect"


class SecretOrigin(StrEnum):
    """Who made a device's secret. It decides whether the device may register for another one (rule C5)."""

    SUPPLIED = "supplied"  # imported with it: a static device, which never registers
    ISSUED = "issued"  # made by licet at import: it may register instead, until its first connect
    RESET = "reset"  # made by licet at a reset: it may register again
    REGISTERED = "registered"  # made by licet at a registration: once


@dataclass(frozen=True, slots=True)
class Product:
    """``id`` is the books' own number for it; the outside knows it by its key. ``keep_days``: how long its messages are
    kept, if that was set (rule E5)."""

    id: int
    product_key: str
    account_id: str
    name: str
    auto_renewal: bool
    renewal_policy: RenewalPolicy
    dynamic_authentication: bool
    package: Package | None
    codes: Codes
    created_at: datetime
    keep_days: int | None


@dataclass(frozen=True, slots=True)
class LockedProduct:
    """A product whose row this transaction holds: what consuming and renewing its codes is decided by.

    ``renewed_until``: every renewal due by then is in the books. ``term`` is None until codes were assigned to it.
    """

    id: int
    product_key: str
    account_id: str
    name: str
    auto_renewal: bool
    renewal_policy: RenewalPolicy
    dynamic_authentication: bool
    package_id: str | None
    term: Term | None
    renewed_until: datetime


@dataclass(frozen=True, slots=True)
class Device:
    """A device and its latest span, as they stand at the ``now`` that was asked about."""

    id: int
    product_key: str
    product_name: str
    device_key: str
    virtual: bool
    renews: bool
    state: DeviceState
    codes_consumed: int
    activated_at: datetime | None
    expires_at: datetime | None
    enrolled_at: datetime


@dataclass(frozen=True, slots=True)
class Knock:
    """What a device shows at the door: who it says it is, and its secret."""

    product_key: str
    device_key: str
    secret: str


@dataclass(frozen=True, slots=True)
class Registration:
    """A device's ask for a secret of its own.

    ``signature``: HMAC-SHA256 of "PK/DK/nonce" under the product's secret, in lower-case hex.
    """

    product_key: str
    device_key: str
    nonce: str
    signature: str

    def is_signed_with(self, product_secret: str) -> bool:
        asked = f"{self.product_key}/{self.device_key}/{self.nonce}".encode()
        expected = hmac.new(product_secret.encode(), asked, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), self.signature.encode())


@dataclass(frozen=True, slots=True)
class Imported:
    """One line of an import. Without a secret the device is issued one.

    ``virtual`` marks the product's one free debug device, which needs no code (rule C7).
    """

    device_key: str
    secret: str | None = None
    virtual: bool = False
