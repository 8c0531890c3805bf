"""What the server is shown is signed by the issuer's key, and ends when what remains of the span has passed."""

import json
import re
from base64 import b32decode, urlsafe_b64decode
from typing import Any

import pytest
from nacl.signing import VerifyKey

from licet.broker.tokens import Signer, device_permissions, issuer_of, new_seed

SEED = "SAAFF7TLTQUDKR6QIDGXLT344OY4TCCS2E2I22DYUTFUNUQHBBO6TJSZLY"
ISSUER = "ABSL66ZVTSXQHMHHIPEJPJQEQA4SUKCECIT2E2OCT5JPYYQE7OSPIZ7N"


def opened(token: bytes) -> dict[str, Any]:
    """The claims, once the signature has been verified."""
    signed, _, signature = token.rpartition(b".")
    public = b32decode(ISSUER)[1:33]
    VerifyKey(public).verify(signed, urlsafe_b64decode(signature + b"=="))
    header, payload = signed.split(b".")
    assert json.loads(urlsafe_b64decode(header + b"==")) == {"typ": "JWT", "alg": "ed25519-nkey"}
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + b"=="))
    return claims


def admitted(seconds: float | None, issued: float = 1000.25) -> dict[str, Any]:
    permissions = device_permissions("ThermostatX", "dev1")
    response = opened(Signer(SEED).admit("U1", "N1", permissions, issued=issued, seconds=seconds))
    assert (response["iss"], response["sub"], response["aud"]) == (ISSUER, "U1", "N1")
    return opened(response["nats"]["jwt"].encode())


def test_an_issuer_has_one_name() -> None:
    assert issuer_of(SEED) == ISSUER
    assert re.fullmatch(r"SA[A-Z2-7]{56}", seed := new_seed())
    assert re.fullmatch(r"A[A-Z2-7]{55}", issuer_of(seed))
    assert new_seed() != seed


@pytest.mark.parametrize("seed", ["", "SA", SEED[:-1] + "A", SEED.lower(), ISSUER, "SU" + SEED[2:], SEED + "AAAAAAAA"])
def test_what_is_no_seed_of_an_account_is_refused(seed: str) -> None:
    with pytest.raises(ValueError, match="not the seed"):
        issuer_of(seed)


def test_a_device_is_let_in_to_its_own_subjects() -> None:
    claims = admitted(60.0)
    assert (claims["iss"], claims["sub"], claims["aud"]) == (ISSUER, "U1", "DEVICES")
    assert claims["nats"] == {
        "pub": {"allow": ["up.ThermostatX.dev1.>"]},
        "sub": {"allow": ["down.ThermostatX.dev1", "down.ThermostatX.dev1.>"]},
        "allowed_connection_types": ["MQTT", "MQTT_WS"],
        "subs": -1,
        "data": -1,
        "payload": -1,
        "type": "user",
        "version": 2,
    }


@pytest.mark.parametrize(
    ("seconds", "expires"),
    [
        (60.0, 1060),
        (59.01, 1060),
        (0.5, 1001),
        (0.0, 1001),  # decided when something was left: a second, rather than a token that is refused
        (-3.0, 1001),
        (10 * 365 * 86_400.0, 1000 + 10 * 365 * 86_400),
    ],
)
def test_a_token_ends_when_what_remains_has_passed(seconds: float, expires: int) -> None:
    assert admitted(seconds)["exp"] == expires


def test_a_device_without_end_has_none() -> None:
    assert "exp" not in admitted(None)


def test_a_refusal_names_its_reason_and_lets_nobody_in() -> None:
    refused = opened(Signer(SEED).refuse("U1", "N1", "no_code_available", issued=1000.0))
    assert refused["nats"] == {"error": "no_code_available", "type": "authorization_response", "version": 2}
