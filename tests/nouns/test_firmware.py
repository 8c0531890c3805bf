"""Whether a fetch goes on with the transfer before it, or begins another upgrade (F3)."""

from datetime import UTC, datetime, timedelta

import pytest

from licet.firmware import Transfer, UpgradeState

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("state", "sent", "ended_ago", "first", "goes_on"),
    [
        ("reserved", 0, None, 0, True),  # it is under way, wherever it begins
        ("reserved", 9_999, None, 0, True),
        ("completed", 1_000, 23 * HOUR, 900, True),  # the end of it did not arrive
        ("completed", 1_000, 24 * HOUR, 900, False),  # a day later it is another upgrade
        ("completed", 1_000, HOUR, 0, False),  # and so it is from the first byte on
        ("completed", 1_999, HOUR, 1, True),
        ("completed", 2_000, HOUR, 1, False),  # up to twice the file
        ("completed", 400, HOUR, 0, True),  # its last part came first
        ("completed", 400, 24 * HOUR, 0, False),
        ("failed", 400, HOUR, 400, False),
        ("withdrawn", 0, HOUR, 0, False),
        ("offered", 0, None, 0, False),  # it is taken up, and does not go on
    ],
)
def test_a_fetch_goes_on(state: str, sent: int, ended_ago: timedelta | None, first: int, goes_on: bool) -> None:
    ended_at = None if ended_ago is None else NOON - ended_ago
    assert Transfer("ota_1", UpgradeState(state), sent, ended_at).goes_on(1_000, first, NOON) is goes_on
