"""Whatever the server passes on, it is read without a fault, and only what is exactly a knock is taken for one."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licet.broker.knock import ASK_BYTES, device_of, read_ask, read_knock
from licet.products import Knock, Registration
from licet.refusals import Reason

PK = "ThermostatX"


def token(claims: object) -> bytes:
    return b"header." + urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=") + b".signature"


def asked(**shown: Any) -> dict[str, Any]:
    return {
        "nats": {
            "server_id": {"id": "N1"},
            "user_nkey": "U1",
            "client_info": {"type": "mqtt", "mqtt_id": f"{PK}-dev1"},
            "connect_opts": {"user": f"{PK}/dev1", "pass": "a-secret", **shown},
        }
    }


def test_an_ask_is_read() -> None:
    heard = read_ask(token(asked()), "_INBOX.1", 7.0)
    assert heard is not None
    caller, shown = heard
    assert (caller.reply, caller.user_nkey, caller.server_id, caller.heard_at) == ("_INBOX.1", "U1", "N1", 7.0)
    assert shown == Knock(PK, "dev1", "a-secret")


@pytest.mark.parametrize(
    "ask",
    [
        b"",
        b".",
        b"..",
        b"a.b.c",
        b"a.!!!.c",
        token(None),
        token([]),
        token({}),
        token({"nats": {}}),
        token({"nats": {**asked()["nats"], "user_nkey": 7}}),
        token(asked(user=7)),
        token(asked(user=None)),
        b"x" * (ASK_BYTES + 1),
    ],
)
def test_what_is_no_ask_is_not_read(ask: bytes) -> None:
    assert read_ask(ask, "", 0) is None


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_are_a_fault(ask: bytes) -> None:
    assert read_ask(ask, "", 0) is None


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(json_like, st.sampled_from(["server_id", "user_nkey", "client_info", "connect_opts"]))
def test_no_claims_are_a_fault(claim: object, name: str) -> None:
    claims = asked()
    claims["nats"][name] = claim
    heard = read_ask(token(claims), "", 0)
    assert heard is None or isinstance(heard[1], Knock | Registration | Reason)


SHAPED = r"[A-Za-z0-9]{11}[-/][A-Za-z0-9]{3,33}(/[A-Za-z0-9_-]{0,70})?"
words = st.text(max_size=40) | st.from_regex(SHAPED, fullmatch=True)


@settings(deadline=None)
@given(words, words, words)
def test_only_what_is_exactly_a_knock_is_one(client_id: str, user: str, password: str) -> None:
    match read_knock(client_id, user, password):
        case Knock(product_key, device_key, secret):
            assert (f"{product_key}-{device_key}", f"{product_key}/{device_key}", secret) == (client_id, user, password)
            assert (product_key + device_key).isascii()
            assert (product_key + device_key).isalnum()
            assert device_of(client_id) == (product_key, device_key)
        case Registration(product_key, device_key, nonce, signature):
            assert client_id == f"register-{product_key}-{device_key}"
            assert user == f"{product_key}/{device_key}/{nonce}"
            assert signature == password
        case reason:
            assert reason in (Reason.MALFORMED_KNOCK, Reason.CLIENT_ID_MISMATCH, Reason.NOT_AUTHORIZED)


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z0-9]{11}", fullmatch=True), st.from_regex(r"[A-Za-z0-9]{4,32}", fullmatch=True))
def test_every_proper_knock_is_one(product_key: str, device_key: str) -> None:
    shown = read_knock(f"{product_key}-{device_key}", f"{product_key}/{device_key}", "s" * 32)
    assert isinstance(shown, Knock)


@pytest.mark.parametrize(
    "client_id",
    ["", "-", PK, f"{PK}-", f"{PK}-dev1-x", f"{PK}-d.v1", f"{PK}_dev1", f"register-{PK}-dev1", "licet"],
)
def test_not_every_client_id_is_a_devices(client_id: str) -> None:
    assert device_of(client_id) is None
