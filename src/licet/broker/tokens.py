"""What the server is shown when licet says yes: a user's permissions and their end, signed by the account's key.

The server trusts one key, the issuer's. Each knock names a key of its own, so that nothing that was said before can be
said again; the answer therefore is two signatures, the user's token and the response around it, and everything else is
written once and kept. The broker's clock is the real one while licet's ``now`` may be shifted, so a token ends when
what remains of the span has passed.
"""

import base64
import binascii
import math
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair
from nacl.utils import random

from licet.broker.server import DEVICES

_ACCOUNT_PREFIX = b"\x00"  # in base 32: "A"
_SEED_PREFIX = b"\x90\x00"  # in base 32: "SA"
_SEED_BYTES = 34
_SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a session may do, as NATS subjects. Whatever is not named is denied."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def device_permissions(product_key: str, device_key: str) -> Permissions:
    """A device speaks under ``up/PK/DK/`` and is spoken to under ``down/PK/DK`` (a filter ``a/#`` needs both)."""
    down = f"down.{product_key}.{device_key}"
    return Permissions(publish=(f"up.{product_key}.{device_key}.>",), subscribe=(down, f"{down}.>"))


def registration_permissions(product_key: str, device_key: str) -> Permissions:
    """A bootstrap session can ask for its secret and hear the answer."""
    return Permissions(
        publish=(f"register.{product_key}.{device_key}",), subscribe=(f"register.{product_key}.{device_key}.secret",)
    )


def new_seed() -> str:
    """A fresh seed of an issuer: keep it as you keep the books' own key."""
    return _in_base32(_SEED_PREFIX + random(32))


def issuer_of(seed: str) -> str:
    """The public name of a seed, which the server's configuration holds."""
    public, _ = crypto_sign_seed_keypair(_seed_bytes(seed))
    return _in_base32(_ACCOUNT_PREFIX + public)


class Signer:
    """Signs answers with one seed."""

    def __init__(self, seed: str) -> None:
        _, self._key = crypto_sign_seed_keypair(_seed_bytes(seed))
        self._header = _segment(b'{"typ":"JWT","alg":"ed25519-nkey"}') + b"."
        self._issuer = issuer_of(seed).encode()

    def admit(
        self, user_nkey: str, server_id: str, permissions: Permissions, *, issued: float, seconds: float | None
    ) -> bytes:
        """Let in the user of this one knock, for so long (None: without end)."""
        # The server counts whole seconds from its own now to the end, then starts a clock: rounding up what remains
        # (not the instant) makes a session outlive its span by less than a second.
        end = b"" if seconds is None else b'"exp":%d,' % (math.floor(issued) + max(1, math.ceil(seconds)))
        user, at = user_nkey.encode(), b"%d" % issued
        token = self._sign(
            b'{%b"iat":%b,"iss":"%b","sub":"%b","aud":"%b","nats":{"pub":{"allow":%b},"sub":{"allow":%b},'
            b'"allowed_connection_types":["MQTT","MQTT_WS"],"subs":-1,"data":-1,"payload":-1,"type":"user","version":2}}'
            % (
                end,
                at,
                self._issuer,
                user,
                DEVICES.encode(),
                _listed(permissions.publish),
                _listed(permissions.subscribe),
            )
        )
        return self._respond(user, server_id, at, b'"jwt":"%b"' % token)

    def refuse(self, user_nkey: str, server_id: str, reason: str, *, issued: float) -> bytes:
        """Keep out the user of this one knock. The reason goes to the server's log, not to the device."""
        return self._respond(user_nkey.encode(), server_id, b"%d" % issued, b'"error":"%b"' % reason.encode())

    def _respond(self, user: bytes, server_id: str, at: bytes, said: bytes) -> bytes:
        return self._sign(
            b'{"iat":%b,"iss":"%b","sub":"%b","aud":"%b","nats":{%b,"type":"authorization_response","version":2}}'
            % (at, self._issuer, user, server_id.encode(), said)
        )

    def _sign(self, claims: bytes) -> bytes:
        signed = self._header + _segment(claims)
        return signed + b"." + _segment(crypto_sign(signed, self._key)[:_SIGNATURE_BYTES])


def _listed(subjects: Iterable[str]) -> bytes:
    return msgspec.json.encode(subjects)


def _segment(plain: bytes) -> bytes:
    return binascii.b2a_base64(plain, newline=False).translate(_URL_SAFE, b"=")


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _in_base32(raw: bytes) -> str:
    checksum = binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(raw + checksum).decode().rstrip("=")


def _seed_bytes(seed: str) -> bytes:
    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except binascii.Error:
        raw = b""
    body, checksum = raw[:-2], int.from_bytes(raw[-2:], "little")
    if body[:2] != _SEED_PREFIX or len(body) != _SEED_BYTES or binascii.crc_hqx(body, 0) != checksum:
        raise ValueError("This is not the seed of an account.")
    return body[2:]
