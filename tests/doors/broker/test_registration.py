"""C5, dynamic, over MQTT: a bootstrap session gets a secret for one device and can do nothing else."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from doors.broker.devices import NOW, Broker, Device, Dial
from doors.broker.open_gate import PK, PRODUCT_SECRET, SECRET
from nats.aio.client import Client
from nats.aio.msg import Msg

from licet.broker.gate import Gate
from licet.broker.registration import RegistrationDesk
from licet.broker.wire import settled
from licet.products import Registration
from licet.refusals import Reason, Refused

NONCE = "nonce-0001"
SIGNED = hmac.new(PRODUCT_SECRET.encode(), f"{PK}/dev1/{NONCE}".encode(), hashlib.sha256).hexdigest()


class Registered:
    """What the desk asked; a device is issued its secret once."""

    def __init__(self) -> None:
        self.asked: list[Registration] = []

    async def register(self, asked: Registration, /, *, now: datetime) -> str:
        assert now == NOW
        self.asked.append(asked)
        if not asked.is_signed_with(PRODUCT_SECRET):
            raise Refused(Reason.NOT_AUTHORIZED)
        if len(self.asked) > 1:
            raise Refused(Reason.ALREADY_REGISTERED)
        if asked.device_key == "stumbles":
            raise ZeroDivisionError
        return "issued-secret"


@pytest.fixture
async def registered(server: Client) -> AsyncIterator[Registered]:
    registered = Registered()
    desk = RegistrationDesk(registered.register, lambda: NOW)
    await desk.open(server)
    yield registered
    await desk.close()


@pytest.fixture
async def session(open_gate: Gate, registered: Registered, broker: Broker, dial: Dial) -> Device:
    device = await dial(broker)
    assert await device.connect(f"register-{PK}-dev1", f"{PK}/dev1/{NONCE}", SIGNED) == 0
    assert await device.subscribe(f"register/{PK}/dev1/secret") == 0
    return device


async def answer(session: Device, asked: object) -> dict[str, str]:
    payload = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    await session.publish(f"register/{PK}/dev1", payload)
    topic, told = await session.message()
    assert topic == f"register/{PK}/dev1/secret"
    answered: dict[str, str] = json.loads(told)
    return answered


async def test_a_device_is_issued_its_secret_once(session: Device, registered: Registered) -> None:
    proof = {"nonce": NONCE, "signature": SIGNED}
    assert await answer(session, proof) == {"device_secret": "issued-secret"}
    assert registered.asked == [Registration(PK, "dev1", NONCE, SIGNED)]
    assert await answer(session, proof) == {
        "code": "already_registered",
        "sentence": "This device has its secret already.",
        "next_step": "Reset the device to issue a new one.",
    }


@pytest.mark.parametrize(
    "asked",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 10_000,
        [],
        {},
        {"nonce": NONCE},
        {"nonce": 1, "signature": SIGNED},
        {"nonce": NONCE, "signature": None},
        {"nonce": "", "signature": SIGNED},
        {"nonce": NONCE, "signature": SIGNED.upper()},
        {"nonce": "x" * 50_000, "signature": SIGNED},
    ],
)
async def test_what_is_no_proof_is_refused_without_the_books(
    session: Device, registered: Registered, asked: object
) -> None:
    assert (await answer(session, asked))["code"] == "not_authorized"
    assert registered.asked == []


async def test_the_proof_is_verified_again(session: Device) -> None:
    told = await answer(session, {"nonce": "another-nonce", "signature": SIGNED})
    assert told["code"] == "not_authorized"


async def test_a_fault_is_told_as_transient_and_logged(
    session: Device, registered: Registered, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Registration, "is_signed_with", lambda *_: 1 / 0)
    assert (await answer(session, {"nonce": NONCE, "signature": SIGNED}))["code"] == "busy"
    assert "ZeroDivisionError" in caplog.text


async def test_a_bootstrap_session_can_do_nothing_else(session: Device, server: Client) -> None:
    for topic_filter in ("#", f"down/{PK}/dev1/#", f"register/{PK}/dev2/secret", f"register/{PK}/+/secret", "$SYS/#"):
        assert await session.subscribe(topic_filter) == 0x80
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        if message.data == b"forbidden":
            heard.append(message.subject)

    await server.subscribe(">", cb=hear)
    await settled(server)
    for topic in (f"up/{PK}/dev1/x", f"register/{PK}/dev2", f"register/{PK}/dev1/secret", "$SYS/REQ/USER/AUTH"):
        await session.publish(topic, b"forbidden")
    await answer(session, {})
    assert heard == []


async def test_a_wrong_signature_opens_no_session(open_gate: Gate, broker: Broker, dial: Dial) -> None:
    device = await dial(broker)
    assert await device.connect(f"register-{PK}-dev1", f"{PK}/dev1/{NONCE}", "0" * 64) == 5
    assert open_gate.tally == {"not_authorized": 1}


async def test_a_device_cannot_ask_for_a_secret(
    open_gate: Gate, registered: Registered, broker: Broker, dial: Dial
) -> None:
    """Its own session is no proof of the product's secret."""
    device = await dial(broker)
    assert await device.connect(f"{PK}-dev1", f"{PK}/dev1", SECRET) == 0
    await device.publish(f"register/{PK}/dev1", json.dumps({"nonce": NONCE, "signature": SIGNED}).encode(), 1)
    await asyncio.sleep(0.1)
    assert registered.asked == []
