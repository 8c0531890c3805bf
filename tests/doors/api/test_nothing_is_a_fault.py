"""Every field of every body, every filter, every name in an address: and in it, what nobody should send."""

import json
import re
from typing import Any
from urllib.parse import quote

from doors.api.stage import Stage

from licet.web.app import bare_app
from licet.web.openapi import described

NASTY: list[Any] = [
    None,
    "",
    "\0",
    "a\0b",
    "\ud800",
    "\u202e\u2028",
    "x" * 10_000,
    "'; DROP TABLE accounts; --",
    "%s %(x)s {thing}",
    "9999-12-31T23:59:59.999999-23:59",
    "P99Y99M99D",
    True,
    0,
    -1,
    1.5,
    1e400,
    2**31,
    2**63,
    10**40,
    [],
    {},
    [[[[]]]],
    {"device_key": {"device_key": 1}},
]
TEXTS = [each for each in NASTY if isinstance(each, str) and each != "\ud800"]


async def test_nothing_that_is_sent_is_a_fault(stage: Stage) -> None:
    pk, package = await stage.sold()
    await stage.device(pk, "thermo1")
    names = {"account_id": stage.acme, "pk": pk, "dk": "thermo1", "person_id": stage.people["bob"]}
    names |= {"kind": "messages", "month": "2026-01"}
    right = {"account_id": stage.acme, "product_key": pk, "package_id": package, "name": "X", "quantity": 1}
    document = described(bare_app())
    sent = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for body in _bodies(operation, document["components"]["schemas"], right):
                at = re.sub(r"{(\w+)}", lambda name: names.get(name[1], "tok_" + "0" * 20), path)
                client = stage.gateway if path == "/v1/admit" else stage.operator
                headers = {"content-type": "application/json", "idempotency-key": f"try-{sent}"}
                answer = await client.request(method, at, content=json.dumps(body), headers=headers)
                assert answer.status_code < 500, (method, path, body, answer.text)
                sent += 1
    assert sent > 800


async def test_nothing_that_is_searched_is_a_fault(stage: Stage) -> None:
    asked = 0
    for path, operations in described(bare_app())["paths"].items():
        filters = [each["name"] for each in operations.get("get", {}).get("parameters", []) if each["in"] == "query"]
        for name in filters if "{" not in path else []:
            for text in TEXTS:
                answer = await stage.operator.get(f"{path}?{name}={quote(text[:3000])}")
                assert answer.status_code < 500, (path, name, text, answer.text)
                asked += 1
    assert asked > 400


async def test_no_name_in_an_address_is_a_fault(stage: Stage) -> None:
    for path, operations in described(bare_app())["paths"].items():
        for method in operations if "{" in path else []:
            for text in TEXTS:
                at = re.sub(r"{\w+}", (quote(text[:500], safe="") or "%20").replace("\\", r"\\"), path)
                answer = await stage.operator.request(method, at, json={})
                assert answer.status_code < 500, (method, path, text, answer.text)


def _bodies(operation: dict[str, Any], schemas: dict[str, Any], right: dict[str, Any]) -> list[Any]:
    """What the path takes, with one field wrong at a time; and what is no object at all."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return []
    schema = content["application/json"]["schema"]
    fields: dict[str, Any] = {}
    for each in schema.get("anyOf", [schema]):
        fields |= schemas[each.get("items", each)["$ref"].rsplit("/", 1)[1]]["properties"]
    wrong = [{name: right.get(name, "P1Y") for name in fields} | {name: nasty} for name in fields for nasty in NASTY]
    return wrong + NASTY
