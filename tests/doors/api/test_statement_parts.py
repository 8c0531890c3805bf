"""Why is this 4,310? The parts of a statement add up to it: while its month runs, and when it is closed (G5)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from doors.api.stage import NOON, Stage
from doors.api.test_month import all_pages
from doors.api.test_usage import FLEETS, a_fleet, counted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from licet.close import close
from licet.meter import fold

LAST_OF_JANUARY = datetime(2026, 1, 31, 20, tzinfo=UTC)
LATER = datetime(2026, 2, 2, tzinfo=UTC)

USES = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 20), st.integers(1, 90), st.booleans()), min_size=1, max_size=20
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]), fleets=FLEETS, uses=USES)
async def test_parts_add_up_to_the_whole_whichever_way(
    stage: Stage, zone: str, fleets: list[list[int]], uses: list[tuple[int, int, int, bool]]
) -> None:
    """The parts of a product or a device to its own part; and what was shown on the last day is what is billed."""
    account_id, devices = await a_fleet(stage.books, zone, fleets)
    for which, day, units, folds in uses:
        product_key, device_key, _ = devices[which % len(devices)]
        await counted(stage.books, product_key, device_key, units, 0, NOON + timedelta(days=day))
        if folds:
            await fold(stage.books, now=NOON)
    stage.clock.now = LAST_OF_JANUARY
    shown = await _whichever_way(stage, account_id)
    stage.clock.now = LATER
    await close(stage.books, now=LATER)
    assert await _whichever_way(stage, account_id) == shown


async def _whichever_way(stage: Stage, account_id: str) -> list[Any]:
    path = f"/v1/statements/{account_id}/2026-01"
    excess = stage.made(await stage.operator.get(path))["kinds"]["messages"]["excess"]

    async def parts(**asked: Any) -> list[Any]:
        return await all_pages(stage.operator, f"{path}/messages", limit=2, **asked)

    of_products, of_devices, of_days = [await parts(by=by) for by in ("product", "device", "day")]
    for found in (of_products, of_devices, of_days):
        assert sum(each["excess"] for each in found) == excess
        assert all(each["excess"] > 0 and each["from_month"] == "2026-01" for each in found)
    for product in of_products:
        key = product["product_key"]
        for by in ("product", "device", "day"):
            assert sum(each["excess"] for each in await parts(by=by, product_key=key)) == product["excess"]
    days = []
    for device in of_devices:
        named = {"product_key": device["product_key"], "device_key": device["device_key"]}
        own = await parts(by="day", **named)
        assert sum(each["excess"] for each in own) == device["excess"]
        assert all(each["used"] - each["allowance"] == each["excess"] for each in own)
        assert [each["excess"] for each in await parts(by="product", **named)] == [device["excess"]]
        days += own
    return [sorted(each.items()) for each in sorted(days, key=repr)]
