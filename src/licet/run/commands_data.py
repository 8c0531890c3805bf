"""Messages on the command line: sent to a device, followed, and read back."""

import json
import sys
from typing import Annotated

import typer

from licet.allowances import Direction
from licet.run.api_client import misused
from licet.run.asking import Ask, DeviceKey, Limit, ProductKey, asking, asking_once
from licet.run.commands_devices import devices

_MESSAGE = {
    "message": "id",
    "topic": "topic",
    "bytes": "bytes",
    "state": "state",
    "written down": "asked_at",
    "by": "asked_by",
    "delivered": "delivered_at",
}
_DATA = {
    "at": "at",
    "direction": "direction",
    "topic": "topic",
    "QoS": "qos",
    "bytes": "bytes",
    "payload": "payload",
    "as": "encoding",
}


def register(app: typer.Typer) -> None:
    """These commands are among those of devices, which are added to the command line by themselves."""


@devices.command("send")
@asking_once
def send_message(
    ask: Ask,
    product: ProductKey,
    device: DeviceKey,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="What comes behind down/PK/DK/, like set/light.")],
    payload: Annotated[str, typer.Argument(metavar="PAYLOAD", help="Text; - reads from standard input.")],
    *,
    as_json_payload: Annotated[
        bool, typer.Option("--json-payload", help="The payload is JSON; see that it is.")
    ] = False,
    as_base64: Annotated[bool, typer.Option("--base64", help="The payload is Base64 of what is sent.")] = False,
) -> None:
    """Send a device a message: stored, counted, and kept for it while it is away."""
    if as_json_payload and as_base64:
        raise misused("The payload is either JSON or Base64.")
    said = sys.stdin.read() if payload == "-" else payload
    if as_json_payload:
        try:
            json.loads(said)
        except ValueError:
            raise misused("The payload is not JSON.") from None
    named = "payload_base64" if as_base64 else "payload"
    answer = ask.licet.post("devices", product, device, "messages", topic=topic, **{named: said})
    ask.tell(answer, _MESSAGE)


@devices.command("messages")
@asking
def list_messages(ask: Ask, product: ProductKey, device: DeviceKey, *, limit: Limit = 50) -> None:
    """List messages to a device and how far each has come, the latest first."""
    ask.tell_many(ask.licet.listed("devices", product, device, "messages", limit=limit), _MESSAGE)


@devices.command("data")
@asking
def list_data(
    ask: Ask,
    product: ProductKey,
    device: DeviceKey,
    *,
    since: Annotated[str | None, typer.Option("--from", metavar="INSTANT", help="RFC 3339: the first instant.")] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="INSTANT", help="RFC 3339: the first instant after.")
    ] = None,
    direction: Annotated[Direction | None, typer.Option("--direction", help="Only what it sent, or was sent.")] = None,
    shown: Annotated[
        str | None, typer.Option("--as", metavar="FORM", help="Payloads as text, json or base64, where they are such.")
    ] = None,
    limit: Limit = 50,
) -> None:
    """List what a device sent and was sent, the oldest first, for as long as it is kept."""
    asked = {"from": since, "to": until, "direction": direction, "as": shown}
    ask.tell_many(ask.licet.listed("devices", product, device, "data", limit=limit, **asked), _DATA)
