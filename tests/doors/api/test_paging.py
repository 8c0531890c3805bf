"""Pages: keyset, opaque, and of one list alone."""

from typing import Any

from doors.api.stage import Stage


async def _all(stage: Stage, path: str, **params: Any) -> list[dict[str, Any]]:
    """Every page of a list, two at a time."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        asked = params | {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = stage.made(await stage.operator.get(path, params=asked))
        assert len(page["data"]) <= 2
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_the_pages_of_every_list_are_the_list(stage: Stage) -> None:
    pk, package = await stage.sold(codes=20)
    other = (await stage.product("Lamp"))["product_key"]
    secrets = {}
    for product_key in (pk, other):
        for n in range(3):
            secrets[product_key, f"thermo{n}"] = await stage.device(product_key, f"thermo{n}")
    for n in range(3):
        await stage.package(f"package {n}")
        await stage.lot(package, 10, f"order {n + 2}")
        assigned = {"product_key": pk, "package_id": package, "quantity": 1}
        stage.made(await stage.operator.post("/v1/assignments", json=assigned), 201)
        await stage.operator.put(f"/v1/products/{pk}/no-renewal/thermo{n}")
        knock = {"product_key": pk, "device_key": f"thermo{n}", "device_secret": secrets[pk, f"thermo{n}"]}
        stage.made(await stage.gateway.post("/v1/admit", json=knock))
    stage.clock.move(days=340)
    lists: list[tuple[str, dict[str, Any], int]] = [
        ("/v1/accounts", {}, 2),
        ("/v1/packages", {}, 5),
        ("/v1/products", {}, 2),
        (f"/v1/products/{pk}/no-renewal", {}, 3),
        ("/v1/lots", {}, 6),
        ("/v1/assignments", {}, 4),
        ("/v1/devices", {}, 6),
        ("/v1/devices", {"near_expiry": "true"}, 3),
        ("/v1/devices", {"state": "active"}, 3),
        ("/v1/people", {}, 5),
        ("/v1/tokens", {}, 7),
        ("/v1/audit", {}, 0),
        ("/v1/events", {}, 0),
    ]
    for path, filters, count in lists:
        whole = stage.made(await stage.operator.get(path, params=filters | {"limit": 200}))
        assert whole["next_cursor"] is None
        assert count in (0, len(whole["data"])), path
        assert await _all(stage, path, **filters) == whole["data"], path


async def test_a_cursor_cannot_be_made_up(stage: Stage) -> None:
    for n in range(3):
        await stage.product(f"product {n}")
    cursor = stage.made(await stage.alice.get("/v1/products", params={"limit": 1}))["next_cursor"]
    assert (
        stage.made(await stage.alice.get("/v1/products", params={"cursor": cursor}))["data"][0]["name"] == "product 1"
    )
    flipped = ("B" if cursor[30] == "A" else "A").join((cursor[:30], cursor[31:]))
    for wrong in ("", "x", "!", "é", "AQ", cursor[:-3], cursor + "AAAA", flipped):
        answer = await stage.alice.get("/v1/products", params={"cursor": wrong})
        problem = stage.refused(answer, 422, "malformed")
        assert [each["field"] for each in problem["errors"]] == ["cursor"]
    stage.refused(await stage.alice.get("/v1/devices", params={"cursor": cursor}), 422, "malformed")
    stage.refused(await stage.mallory.get("/v1/products", params={"cursor": cursor}), 422, "malformed")
