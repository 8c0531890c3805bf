"""Bodies that are wrong in every field: 422, all fields at once, and nothing is written."""

import json
from typing import Any

from doors.api.stage import Stage

JSON = {"content-type": "application/json"}
PK = "a" * 11
NUL = "a\0b"
LATE = "0001-01-01T00:00:00-23:59"

WRONG: list[tuple[str, str, dict[str, Any], set[str]]] = [
    (
        "post",
        "/v1/accounts",
        {"name": NUL, "kind": "huge", "time_zone": "../../etc/passwd", "mode": 1, "id": "x"},
        {"name", "kind", "time_zone", "mode", "id"},
    ),
    ("post", "/v1/accounts", {}, {"name", "kind"}),
    ("post", "/v1/accounts", {"name": " \t ", "kind": None, "time_zone": "Mars/Base"}, {"name", "kind", "time_zone"}),
    ("patch", "/v1/accounts/{acme}", {"name": "", "kind": [], "mode": {}}, {"name", "kind", "mode"}),
    (
        "post",
        "/v1/packages",
        {
            "name": 7,
            "term": "1 year",
            "day_count": "lunar",
            "messages_per_day": -1,
            "ota_per_month": 1.5,
            "storage_days": "7",
        },
        {"name", "term", "day_count", "messages_per_day", "ota_per_month", "storage_days"},
    ),
    (
        "post",
        "/v1/packages",
        {"name": "n" * 201, "term": "P0D", "messages_per_day": True, "ota_per_month": 10**20, "storage_days": None},
        {"name", "term", "messages_per_day", "ota_per_month", "storage_days"},
    ),
    ("post", "/v1/products", {"account_id": "acme", "name": "a\u2028b", "secret": 1}, {"account_id", "name", "secret"}),
    ("post", "/v1/products", {"account_id": NUL, "name": "\ud800"}, {"account_id", "name"}),
    (
        "patch",
        "/v1/products/{pk}",
        {"name": {}, "auto_renewal": "yes", "renewal_policy": "never", "dynamic_authentication": 1, "codes": 5},
        {"name", "auto_renewal", "renewal_policy", "dynamic_authentication", "codes"},
    ),
    ("post", "/v1/products/{pk}/upgrade", {"package_id": 5, "force": "true"}, {"package_id", "force"}),
    (
        "post",
        "/v1/lots",
        {
            "account_id": None,
            "product_key": "short",
            "package_id": "pkg_",
            "quantity": 0,
            "order_reference": "",
            "use_by": "2026-01-10",
        },
        {"account_id", "product_key", "package_id", "quantity", "order_reference", "use_by"},
    ),
    (
        "post",
        "/v1/lots",
        {"quantity": 10_000_001, "order_reference": NUL, "use_by": LATE},
        {"account_id", "package_id", "quantity", "order_reference", "use_by"},
    ),
    (
        "post",
        "/v1/assignments",
        {"product_key": PK + "b", "package_id": "x", "quantity": 1.0},
        {"product_key", "package_id", "quantity"},
    ),
    ("post", "/v1/products/{pk}/devices", {"devices": []}, {"devices"}),
    (
        "post",
        "/v1/products/{pk}/devices",
        {
            "devices": [
                {"device_key": "a/b", "device_secret": "short", "virtual": 1},
                {"device_key": "thermo1\n"},
                {"device_key": "ok12", "device_secret": "with space", "spare": 1},
                "thermo1",
            ]
        },
        {
            "devices.0.device_key",
            "devices.0.device_secret",
            "devices.0.virtual",
            "devices.1.device_key",
            "devices.2.device_secret",
            "devices.2.spare",
            "devices.3",
        },
    ),
    ("post", "/v1/people", {"email": "nobody", "name": 1, "role": "broker"}, {"email", "name", "role"}),
    ("patch", "/v1/people/{person}", {"role": "operator"}, {"role"}),
    (
        "post",
        "/v1/tokens",
        {"name": NUL, "role": "viewer", "scopes": ["read", "operate"], "expires_at": 1767225600},
        {"name", "scopes", "expires_at"},
    ),
    (
        "post",
        "/v1/admit",
        {"product_key": 1, "device_secret": None, "more": 1},
        {"product_key", "device_key", "device_secret", "more"},
    ),
    (
        "post",
        "/v1/admit",
        {"knocks": [{"product_key": PK}, 7]},
        {"knocks.0.device_key", "knocks.0.device_secret", "knocks.1"},
    ),
    ("post", "/v1/admit", {"knocks": []}, {"knocks"}),
    ("post", "/v1/register", {"nonce": 1}, {"product_key", "device_key", "nonce", "signature"}),
    (
        "post",
        "/v1/register",
        {"product_key": NUL, "device_key": "é" * 5, "nonce": "n", "signature": "A" * 64},
        {"product_key", "device_key", "nonce", "signature"},
    ),
]


async def test_all_that_is_wrong_is_named_at_once(stage: Stage) -> None:
    product = await stage.product()
    before = await _everything(stage)
    for method, path, body, fields in WRONG:
        at = path.format(acme=stage.acme, pk=product["product_key"], person=stage.people["bob"])
        client = stage.gateway if path == "/v1/admit" else stage.operator
        answer = await client.request(method, at, content=json.dumps(body), headers=JSON)
        problem = stage.refused(answer, 422, "malformed")
        assert {each["field"] for each in problem["errors"]} == fields, (path, body)
        assert all(each["where"] == "body" and each["sentence"][-1] == "." for each in problem["errors"])
        assert "passwd" not in answer.text
    assert await _everything(stage) == before


async def test_a_person_is_an_operator_or_of_an_account(stage: Stage) -> None:
    both = {"account_id": stage.acme, "email": "x@licet.test", "name": "X", "role": "operator"}
    stage.refused(await stage.operator.post("/v1/people", json=both), 422, "malformed")
    stage.refused(
        await stage.operator.post("/v1/people", json=both | {"account_id": None, "role": "owner"}), 404, "not_found"
    )


async def test_what_is_no_json_object_is_malformed(stage: Stage) -> None:
    bodies = [b"", b"{", b"[]", b"null", b"7", b"\xff", b'{"a":' * 5000, b"9" * 5000, b'"\\ud800"', b'{"name": NaN}']
    for path in ("/v1/accounts", "/v1/register"):
        for body in bodies:
            stage.refused(await stage.operator.post(path, content=body, headers=JSON), 422, "malformed")
    form = {"content-type": "application/x-www-form-urlencoded"}
    stage.refused(await stage.operator.post("/v1/accounts", content=b"name=X", headers=form), 422, "malformed")


QUERIES = [
    ("/v1/devices", "state=broken&near_expiry=maybe&limit=201&spare=1", {"state", "near_expiry", "limit", "spare"}),
    (
        "/v1/devices",
        "device_key=%00&activated_from=yesterday&product_key=x",
        {"device_key", "activated_from", "product_key"},
    ),
    ("/v1/products", "limit=0&search=%00&account_id=x", {"limit", "search", "account_id"}),
    ("/v1/assignments", "dry_run", {"product_key", "package_id"}),
    ("/v1/audit", "since=2026&limit=ten&cursor=!", {"since", "limit"}),
    ("/v1/events", "kind=party&cursor=" + "x" * 1001, {"kind", "cursor"}),
]


async def test_a_query_is_read_as_strictly(stage: Stage) -> None:
    for path, query, fields in QUERIES:
        problem = stage.refused(await stage.alice.get(f"{path}?{query}"), 422, "malformed")
        assert {(each["where"], each["field"]) for each in problem["errors"]} == {("query", field) for field in fields}


async def test_a_body_that_is_wrong_everywhere_is_told_in_part(stage: Stage) -> None:
    product = await stage.product()
    lines = [{"device_key": "!"}] * 5000
    answer = await stage.alice.post(f"/v1/products/{product['product_key']}/devices", json={"devices": lines})
    problem = stage.refused(answer, 422, "malformed")
    assert problem["title"] == "5000 fields are wrong."
    assert problem["detail"] == "The first 100 are listed; 4900 more are wrong."
    assert len(problem["errors"]) == 100


async def test_a_body_has_a_size(stage: Stage) -> None:
    product = await stage.product()
    at = f"/v1/products/{product['product_key']}/devices"
    spaces = b" " * (1 << 20)
    stage.refused(await stage.alice.post("/v1/products", content=spaces + b"{}"), 413, "body_too_large")
    stage.refused(await stage.nobody.post("/v1/register", content=spaces + b"{}"), 413, "body_too_large")

    async def endless() -> Any:
        while True:
            yield spaces

    stage.refused(await stage.alice.post("/v1/products", content=endless()), 413, "body_too_large")
    lines = [{"device_key": f"thermo{n}", "device_secret": "s" * 128} for n in range(10_000)]
    imported = stage.made(await stage.alice.post(at, json={"devices": lines}), 201)["data"]
    assert imported == lines
    one_more = {"devices": [*lines, {"device_key": "onemore"}]}
    stage.refused(await stage.alice.post(at, json=one_more), 422, "malformed")
    stage.refused(await stage.alice.post(at, content=spaces * 8 + b"{}"), 413, "body_too_large")


async def _everything(stage: Stage) -> list[Any]:
    """What a write would leave behind."""
    log = stage.made(await stage.operator.get("/v1/audit", params={"limit": 200}))
    told = stage.made(await stage.operator.get("/v1/events", params={"limit": 200}))
    return [log, told]


async def test_a_file_that_people_import_may_be_as_large(stage: Stage) -> None:
    pk, _ = await stage.sold()
    at, headers = f"/accounts/{stage.acme}/products/{pk}/import", {"Origin": "http://licet.test"}
    asked = await stage.nobody.post(at, content=b" " * (2 << 20), headers=headers)
    stage.refused(asked, 401, "not_signed_in")
    stage.refused(await stage.nobody.post(at, content=b" " * (9 << 20), headers=headers), 413, "body_too_large")
