"""By which packages a month was counted, and since which midnight, is on its statement (rule A7)."""

from datetime import UTC, datetime
from typing import Any

from doors.api.stage import Stage

from licet.close import close

#: Berlin is an hour ahead of UTC until 29 March 2026, at 01:00 UTC, and two from then on.
MARCH_ENDS = datetime(2026, 3, 31, 22, 0, tzinfo=UTC)


async def moves_to_berlin(stage: Stage) -> None:
    moved = await stage.alice.patch(f"/v1/accounts/{stage.acme}", json={"time_zone": "Europe/Berlin"})
    assert moved.status_code == 200, moved.text


async def upgrades(stage: Stage, pk: str, package_id: str, at: datetime) -> None:
    stage.clock.now = at
    stage.made(await stage.alice.post(f"/v1/products/{pk}/upgrade", json={"package_id": package_id}))


async def counted_by(stage: Stage, month: str) -> list[tuple[Any, ...]]:
    told = stage.made(await stage.bob.get(f"/v1/statements/{stage.acme}/{month}"))
    return [(each["package_name"], each["messages_per_day"], each["counts_from"]) for each in told["packages"]]


async def test_an_upgrade_in_mid_month_shows_both_and_the_midnight_between_them(stage: Stage) -> None:
    """Also where the clocks change that night; what was meant on that day and changed again never counted."""
    await moves_to_berlin(stage)
    pk, _ = await stage.sold()
    since = (await counted_by(stage, "2026-01"))[0][2]
    more = await stage.package("year-2000", messages_per_day=2000)
    most = await stage.package("year-3000", messages_per_day=3000)
    await upgrades(stage, pk, more["id"], datetime(2026, 3, 29, 11, 0, tzinfo=UTC))
    await upgrades(stage, pk, most["id"], datetime(2026, 3, 29, 12, 0, tzinfo=UTC))
    first, then = ("year-1500", 1500, since), ("year-3000", 3000, "2026-03-29T22:00:00Z")
    assert await counted_by(stage, "2026-01") == [first]
    assert await counted_by(stage, "2026-03") == [first, then]
    stage.clock.now = MARCH_ENDS
    await close(stage.books, now=MARCH_ENDS)
    assert await counted_by(stage, "2026-02") == [first]
    assert await counted_by(stage, "2026-03") == [first, then], "a closed month says the same"
    assert await counted_by(stage, "2026-04") == [then]


async def test_an_upgrade_on_the_last_day_is_the_next_months(stage: Stage) -> None:
    await moves_to_berlin(stage)
    pk, _ = await stage.sold()
    since = (await counted_by(stage, "2026-01"))[0][2]
    more = await stage.package("year-2000", messages_per_day=2000)
    await upgrades(stage, pk, more["id"], datetime(2026, 1, 31, 12, 0, tzinfo=UTC))
    assert await counted_by(stage, "2026-01") == [("year-1500", 1500, since)]
    stage.clock.now = datetime(2026, 2, 2, tzinfo=UTC)
    assert await counted_by(stage, "2026-02") == [("year-2000", 2000, "2026-01-31T23:00:00Z")]


async def test_a_product_without_a_package_counts_by_none_and_anothers_are_not_shown(stage: Stage) -> None:
    await stage.product("Bare")
    pk, package_id = await stage.sold()
    told = stage.made(await stage.bob.get(f"/v1/statements/{stage.acme}/2026-01"))["packages"]
    assert [(each["product_key"], each["product_name"], each["package_id"]) for each in told] == [
        (pk, "Thermostat", package_id)
    ]
    assert (told[0]["ota_per_month"], told[0]["storage_days"]) == (1, 7)
    globex = stage.made(await stage.mallory.get(f"/v1/statements/{stage.globex}/2026-01"))
    assert globex["packages"] == []
    stage.refused(await stage.mallory.get(f"/v1/statements/{stage.acme}/2026-01"), 404, "not_found")
