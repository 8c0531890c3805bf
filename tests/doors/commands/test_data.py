"""Messages as they are typed: sent to a device, followed, read back."""

import time

import pytest
from doors.commands.conftest import Sold
from doors.commands.terminal import Terminal


@pytest.fixture
def device(licet: Terminal, sold: Sold) -> tuple[str, str]:
    licet.api("POST", f"/v1/products/{sold.product_key}/devices", {"devices": [{"device_key": "thermo1"}]})
    return sold.product_key, "thermo1"


def test_a_message_is_sent_followed_and_read_back(licet: Terminal, device: tuple[str, str]) -> None:
    sent = licet("devices", "send", *device, "set/light", "on").facts
    assert (sent["topic"], sent["bytes"], sent["state"]) == ("set/light", "2", "waiting")
    for _ in range(100):
        (message,) = licet("devices", "messages", *device).rows
        if message[3] == "sent":
            break
        time.sleep(0.1)
    assert message[:4] == [sent["message"], "set/light", "2", "sent"]
    (stored,) = licet("devices", "data", *device, "--direction", "down").rows
    assert stored[1:] == ["down", "set/light", "1", "2", "on", "text"]
    assert licet("devices", "data", *device, "--direction", "up").rows == []
    assert licet("devices", "data", *device, "--as", "base64", "--json").json["data"][0]["payload"] == "b24="


def test_the_same_command_under_the_same_key_sends_once(licet: Terminal, device: tuple[str, str]) -> None:
    typed = ("devices", "send", *device, "set", "-", "--json-payload", "--key", f"once-{device[0]}")
    first, second = (licet(*typed, typed='{"on": true}').facts["message"] for _ in range(2))
    assert first == second
    assert len(licet("devices", "messages", *device).rows) == 1


def test_what_cannot_be_sent_is_said(licet: Terminal, device: tuple[str, str]) -> None:
    assert licet("devices", "send", *device, "set", "{", "--json-payload").err == "The payload is not JSON.\n"
    both = licet("devices", "send", *device, "set", "1", "--json-payload", "--base64")
    assert (both.status, both.err) == (2, "The payload is either JSON or Base64.\n")
    wrong = licet("devices", "send", *device, "set/#", "x")
    assert wrong.status == 2
    assert "without wildcards" in wrong.err
