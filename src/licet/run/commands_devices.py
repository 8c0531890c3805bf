"""Devices on the command line: imported from a file, found, reset, deleted; and the codes each has consumed."""

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from licet.lifecycle import DeviceState
from licet.products import DEVICE_KEY, DEVICE_SECRET
from licet.run.api_client import Answer, NotDone, misused
from licet.run.asking import Ask, DeviceKey, Limit, OfAccount, OfProduct, ProductKey, Yes, asking, asking_once, sure

devices = typer.Typer(help="What connects, and needs a code for it.", no_args_is_help=True)

_DEVICE = {
    "product": "product_key",
    "product name": "product_name",
    "device": "device_key",
    "state": "state",
    "online": "online",
    "virtual": "virtual",
    "renews": "renews",
    "codes consumed": "codes_consumed",
    "activated": "activated_at",
    "expires": "expires_at",
    "enrolled": "enrolled_at",
}
_IN_A_LINE = {
    "product": "product_key",
    "device": "device_key",
    "state": "state",
    "online": "online",
    "codes": "codes_consumed",
    "activated": "activated_at",
    "expires": "expires_at",
}
_SECRET = {"device": "device_key", "secret": "device_secret"}
_ACTIVATION = {
    "code": "number",
    "from": "starts_at",
    "to": "ends_at",
    "reason": "reason",
    "lot": "lot_id",
    "order": "order_reference",
    "none followed": "lapse",
}
_COLUMNS = ("device_key", "device_secret", "virtual")
_AT_ONCE = 10_000
_SHOWN = 20

_Instant = Annotated[str | None, typer.Option(metavar="INSTANT", help="RFC 3339, like 2026-02-01T08:00:00Z.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(devices, name="devices")


@devices.command("list")
@asking
def list_devices(
    ask: Ask,
    *,
    account: OfAccount = None,
    product: OfProduct = None,
    device_key: Annotated[
        str | None, typer.Option("--device-key", metavar="DK", help="How the device's key begins.")
    ] = None,
    state: Annotated[DeviceState | None, typer.Option("--state", help="Whether a code's span covers now.")] = None,
    near_expiry: Annotated[
        bool, typer.Option("--near-expiry", help="Only those with 30 days or less left, the soonest first.")
    ] = False,
    activated_from: _Instant = None,
    activated_to: _Instant = None,
    expires_from: _Instant = None,
    expires_to: _Instant = None,
    limit: Limit = 200,
) -> None:
    """List devices, product by product and by key."""
    found = ask.licet.listed(
        "devices",
        limit=limit,
        account_id=ask.account_id_if(account),
        product_key=product,
        device_key=device_key,
        state=state,
        near_expiry=near_expiry,
        activated_from=activated_from,
        activated_to=activated_to,
        expires_from=expires_from,
        expires_to=expires_to,
    )
    ask.tell_many(found, _IN_A_LINE)


@devices.command("import")
@asking_once
def import_devices(
    ask: Ask,
    product: ProductKey,
    file: Annotated[
        str, typer.Argument(help="CSV: device_key[,device_secret[,virtual]]; - reads from standard input.")
    ],
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="Answer with CSV, as it was asked.")] = False,
) -> None:
    """Import devices from a file; those without a secret are issued one.

    The first line may name the columns; virtual is yes for the product's one free debug device. Importing again
    changes nothing and answers the same.
    """
    lines = list(_lines(file))
    imported: list[dict[str, str]] = []
    for start in range(0, len(lines), _AT_ONCE):
        try:
            answer = ask.licet.post("products", product, "devices", devices=lines[start : start + _AT_ONCE])
        except NotDone as why:
            done = f"\nThe first {len(imported)} devices are imported, the others are not." if imported else ""
            raise NotDone(f"{why}{done}", why.status) from None
        imported += answer.said["data"]
    if as_csv:
        written = csv.writer(sys.stdout, lineterminator="\n")
        written.writerows([_SECRET.values(), *(each.values() for each in imported)])
        return
    ask.tell_many(answer if len(lines) <= _AT_ONCE else Answer.of({"data": imported}), _SECRET)


@devices.command("show")
@asking
def show_device(ask: Ask, product: ProductKey, device: DeviceKey) -> None:
    """Show a device; `licet explain` says why it is let in or not."""
    ask.tell(ask.licet.get("devices", product, device), _DEVICE)


@devices.command("activations")
@asking
def list_activations(ask: Ask, product: ProductKey, device: DeviceKey) -> None:
    """List every code that a device consumed, the first one first."""
    ask.tell_many(ask.licet.get("devices", product, device, "activations"), _ACTIVATION)


@devices.command("reset")
@asking_once
def reset_device(ask: Ask, product: ProductKey, device: DeviceKey, *, yes: Yes = False) -> None:
    """Give a device another secret, shown this once. It keeps its code."""
    sure(f"Give {device} another secret? With the one it has it is let in no more.", yes)
    ask.tell(ask.licet.post("devices", product, device, "reset"), _SECRET)
    ask.remark("The secret is shown this once.")


@devices.command("delete")
@asking
def delete_device(ask: Ask, product: ProductKey, device: DeviceKey, *, yes: Yes = False) -> None:
    """Delete a device. No code comes back; if it is enrolled again within its span, it pays nothing."""
    sure(f"Delete {device}? Its code does not come back.", yes)
    ask.licet.delete("devices", product, device)
    ask.remark(f"{device} is deleted.")


def _lines(file: str) -> Iterator[dict[str, Any]]:
    """The devices of a file, all of them looked at before the first is imported."""
    try:
        # Spreadsheets begin a file with a mark of how it is encoded.
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        rows = [
            row
            for row in enumerate(csv.reader(text.removeprefix("\ufeff").splitlines(), strict=True), 1)
            if any(row[1])
        ]
    except (OSError, UnicodeError, csv.Error) as error:
        raise misused(f"{file} cannot be read: {error}") from None
    columns: Iterable[str] = _COLUMNS
    if rows and "device_key" in (named := [cell.strip().lower() for cell in rows[0][1]]):
        if unknown := [name for name in named if name not in _COLUMNS]:
            raise misused(f"{file} has the columns {', '.join(unknown)}; known are {', '.join(_COLUMNS)}.")
        columns, rows = named, rows[1:]
    found = [(number, dict(zip(columns, map(str.strip, row), strict=False)), len(row)) for number, row in rows]
    most = len(list(columns))
    wrong = [f"  line {number}: {why}" for number, line, cells in found if (why := _wrong(line, cells, most))]
    if wrong or not found:
        more = [f"  and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        raise misused("\n".join([f"{file} has {_counted(wrong)}; nothing was imported.", *wrong[:_SHOWN], *more]))
    for _, line, _ in found:
        secret = line.get("device_secret")
        yield {"device_key": line["device_key"]} | ({"device_secret": secret} if secret else {}) | _virtual(line)


def _wrong(line: dict[str, str], cells: int, most: int) -> str | None:
    secret = line.get("device_secret")
    if cells > most:
        return f"{cells} cells, and only {most} columns"
    if not DEVICE_KEY.fullmatch(line.get("device_key", "")):
        return "a device key is 4 to 32 letters and digits"
    if secret and not DEVICE_SECRET.fullmatch(secret):
        return "a device secret is 8 to 128 printable ASCII characters without spaces"
    if line.get("virtual", "") not in ("", "yes", "no"):
        return "virtual is yes or no"
    return None


def _virtual(line: dict[str, str]) -> dict[str, bool]:
    return {"virtual": True} if line.get("virtual") == "yes" else {}


def _counted(wrong: list[str]) -> str:
    return f"{len(wrong)} lines that are wrong" if wrong else "no devices"
