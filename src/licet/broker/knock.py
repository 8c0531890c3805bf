"""What the server says when somebody knocks, read with distrust.

A device signs in with the user name ``PK/DK``, its secret, and the client id ``PK-DK``: sessions are keyed by client
id, so another's client id would evict that device and inherit its messages. A device that has no secret yet opens a
bootstrap session (see ``registration``). Everything else is not a knock, and the books are not asked about it.
"""

import math
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass

import msgspec

from licet.products import DEVICE_KEY, DEVICE_SECRET, NONCE, PRODUCT_KEY, SIGNATURE, Knock, Registration
from licet.refusals import Reason

# What the server asks about an honest device is about 1 KiB, 6 with a chain of certificates. User name and password may
# be 64 KiB each and are told twice: whatever is larger than this is not even read.
ASK_BYTES = 16 * 1024

_DEVICE = re.compile(rf"({PRODUCT_KEY.pattern})/({DEVICE_KEY.pattern})", re.ASCII)
_CLIENT_ID = re.compile(rf"({PRODUCT_KEY.pattern})-({DEVICE_KEY.pattern})", re.ASCII)
_BOOTSTRAP = re.compile(rf"({PRODUCT_KEY.pattern})/({DEVICE_KEY.pattern})/({NONCE.pattern})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Caller:
    """One connection that waits at the server: whom to answer, and under which names.

    ``heard_at`` is by our own monotonic clock; ``given_up_at``, when the server says no by itself, by the server's.
    """

    reply: str
    user_nkey: str
    server_id: str
    heard_at: float
    given_up_at: float


class _Server(msgspec.Struct):
    id: str


class _Client(msgspec.Struct):
    type: str = ""
    mqtt_id: str = ""


class _Shown(msgspec.Struct):
    user: str = ""
    password: str = msgspec.field(name="pass", default="")


class _Asked(msgspec.Struct):
    server_id: _Server
    user_nkey: str
    client_info: _Client
    connect_opts: _Shown


class _Claims(msgspec.Struct):
    nats: _Asked
    exp: float = math.inf


_claims = msgspec.json.Decoder(_Claims)


def read_ask(token: bytes, reply: str, heard_at: float) -> tuple[Caller, Knock | Registration | Reason] | None:
    """Who waits, and what they show, or why that is no knock. None: not even an ask of the server's."""
    if len(token) > ASK_BYTES:
        return None
    try:
        payload = token.split(b".", 2)[1]
        claims = _claims.decode(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return None
    asked = claims.nats
    caller = Caller(reply, asked.user_nkey, asked.server_id.id, heard_at, claims.exp)
    if asked.client_info.type != "mqtt":
        return caller, Reason.MALFORMED_KNOCK
    return caller, read_knock(asked.client_info.mqtt_id, asked.connect_opts.user, asked.connect_opts.password)


def read_knock(client_id: str, user: str, password: str) -> Knock | Registration | Reason:
    """A device's knock, a bootstrap session's, or why it is neither."""
    if match := _DEVICE.fullmatch(user):
        product_key, device_key = match.groups()
        if client_id != f"{product_key}-{device_key}":
            return Reason.CLIENT_ID_MISMATCH
        if not DEVICE_SECRET.fullmatch(password):
            return Reason.NOT_AUTHORIZED
        return Knock(product_key, device_key, password)
    if match := _BOOTSTRAP.fullmatch(user):
        product_key, device_key, nonce = match.groups()
        if client_id != f"register-{product_key}-{device_key}":
            return Reason.CLIENT_ID_MISMATCH
        if not SIGNATURE.fullmatch(password):
            return Reason.NOT_AUTHORIZED
        return Registration(product_key, device_key, nonce, password)
    return Reason.MALFORMED_KNOCK


def device_of(client_id: str) -> tuple[str, str] | None:
    """Whose client id this is, if it is a device's: its product key and device key."""
    match = _CLIENT_ID.fullmatch(client_id)
    return (match[1], match[2]) if match else None
