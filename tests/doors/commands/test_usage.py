"""What was used, as it is asked for on a terminal."""

from typing import Any

from doors.commands.conftest import Sold
from doors.commands.terminal import Terminal


def report(sold: Sold, number: int, device_key: str, messages: int, at: str) -> dict[str, Any]:
    return {
        "id": f"{sold.product_key} {number}",
        "source": "/gateways/7",
        "type": "licet.usage.messages",
        "time": at,
        "subject": f"{sold.product_key}/{device_key}",
        "data": {"direction": "up", "messages": messages},
    }


def test_usage_is_shown_by_day_and_by_whose_it_is(licet: Terminal, sold: Sold) -> None:
    """Rules E2, E4: 1700 of 1500 are 200 in excess."""
    licet("devices", "import", sold.product_key, "-", typed="thermo1\nthermo2\n")
    used = [
        report(sold, 1, "thermo1", 1700, "2026-02-01T08:00:00Z"),
        report(sold, 2, "thermo2", 30, "2026-02-01T09:00:00Z"),
        report(sold, 3, "thermo2", 5, "2026-02-02T07:00:00Z"),
    ]
    licet.api("POST", "/v1/usage", used)
    month = ["--account", sold.account, "--from", "2026-02-01", "--to", "2026-02-28"]
    typed = licet("usage", "messages", *month)
    assert typed.out.splitlines()[0].split() == ["on", "used", "covered", "excess", "up", "down"]
    assert [row[:4] for row in typed.rows] == [["2026-02-01", "1730", "1530", "200"], ["2026-02-02", "5", "5", "0"]]
    by_month = licet("usage", "messages", *month, "--by", "month", "--whose", "product").rows
    assert [row[:5] for row in by_month] == [["2026-02-01", sold.product_key, "1735", "1535", "200"]]
    by_device = licet("usage", "messages", *month, "--whose", "device", "--limit", "2").rows
    assert [row[2:6] for row in by_device] == [["thermo1", "1700", "1500", "200"], ["thermo2", "30", "30", "0"]]
    one = licet("usage", "messages", "--product", sold.product_key, "--device", "thermo1", "--json").json["data"]
    assert [(each["used"], each["allowance"]) for each in one] == [(1700, 1500)]
    unknown = licet("usage", "messages", "--product", sold.product_key, "--device", "nobody01")
    assert (unknown.status, unknown.err) == (1, "There is no such device. Check the name.\n")
    assert licet("usage", "messages", "--device", "thermo1").status == 2
    assert licet("usage", "coffee").status == 2
