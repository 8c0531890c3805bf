"""Whatever is sent to the API over a real connection: a clear no, nothing written, nothing told about what exists."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from doors.books_seen import contents
from doors.running import Api, Up
from doors.shop import Shop, open_shop

# Neither a text nor a number nor a switch nor a list, nor an object with a field that it should have.
WRONG = {"wrong": [{"wrong": None}]}
NOBODY = "Zz9Zz9Zz9Zz"
NO_ID = "abc_" + "0" * 20
# A CloudEvent may carry more than its fields, and what its data may be depends on its type.
CLOUD_EVENTS = "/v1/usage"
JSON = {"content-type": "application/json"}


@pytest.fixture(autouse=True)
def no_fault_is_logged(shared_up: Up) -> Iterator[None]:
    yield
    for log in shared_up.data.glob("licet-*.log"):
        assert "Traceback" not in log.read_text()


@pytest.fixture
async def shop(said: dict[str, Any], api: Api) -> Shop:
    return await open_shop(said, api, codes=5, devices=2)


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, set[str]]]:
    """Method, path and fields of every JSON body that the API says it takes; but for fields that take anything."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {"anyOf": []})
            for name in (each["$ref"].split("/")[-1] for each in schema.get("anyOf", [schema]) if "$ref" in each):
                fields = document["components"]["schemas"][name]["properties"]
                yield method, path, {name for name, kind in fields.items() if kind.keys() & {"type", "anyOf", "$ref"}}


async def test_a_body_that_is_wrong_in_every_field_is_told_every_field(
    said: dict[str, Any], api: Api, shop: Shop
) -> None:
    """Every body of the API, as its own description has it."""
    taken = list(bodies(await api.ask("GET", "/openapi.json")))
    assert len(taken) > 10
    at = defaultdict(lambda: NO_ID, account_id=shop.account_id, pk=shop.product_key, dk="dev0000")
    before = contents(said)
    for method, path, fields in taken:
        wrong = dict.fromkeys(fields, WRONG) | {"spare": 1}
        told = await api.ask(method.upper(), path.format_map(at), 422, json=wrong)
        assert told["code"] == "malformed"
        named = {each["field"].split(".")[0] for each in told["errors"] if each["where"] == "body"}
        assert named == fields | {"spare"} or (path == CLOUD_EVENTS and named), (method, path)
    assert contents(said) == before


async def test_what_is_no_json_is_refused_everywhere(said: dict[str, Any], api: Api, shop: Shop) -> None:
    taken = list(bodies(await api.ask("GET", "/openapi.json")))
    at = defaultdict(lambda: NO_ID, account_id=shop.account_id, pk=shop.product_key, dk="dev0000")
    before = contents(said)
    nonsense = [
        b"",
        b"\0",
        b"\xff\xfe",
        b"nonsense",
        b"[" * 100_000,
        b'{"name":' * 50_000,
        b"1" * 100_000,
        b'"\\ud800"',
    ]
    for method, path, _ in taken:
        for body in nonsense:
            told = await api.ask(method.upper(), path.format_map(at), 422, content=body, headers=JSON)
            assert told["code"] == "malformed", (method, path, body[:20])
        await api.ask(method.upper(), path.format_map(at), 413, content=b" " * (9 << 20) + b"{}", headers=JSON)
    assert contents(said) == before


async def test_a_stranger_cannot_tell_what_exists(api: Api, shop: Shop) -> None:
    """Product, device or secret: which of them is wrong is not said, neither to gateways nor to devices."""
    right = {
        "product_key": shop.product_key,
        "device_key": "dev0000",
        "device_secret": shop.secrets["dev0000"],
    }
    knocks = [
        right | {"product_key": NOBODY},
        right | {"device_key": "dev9999"},
        right | {"device_secret": "no-secret-of-mine"},
    ]
    answers = [await api.client.post("/v1/admit", json=knock) for knock in knocks]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert (answers[0].json()["admitted"], answers[0].json()["refusal"]) == (False, "not_authorized")

    proof = {"product_key": shop.product_key, "device_key": "dev0000", "nonce": "nonce001", "signature": "0" * 64}
    asks = [proof, proof | {"product_key": NOBODY}, proof | {"device_key": "dev9999"}]
    told = []
    async with httpx.AsyncClient(base_url=api.client.base_url, timeout=60) as device:
        for ask in asks:
            answer = await device.post("/v1/register", json=ask)
            told.append((answer.status_code, {**answer.json(), "request_id": None}))
    assert told == [told[0]] * 3
    assert (told[0][0], told[0][1]["code"]) == (401, "not_authorized")


async def test_who_has_no_token_is_told_the_same_about_everything(api: Api, shop: Shop) -> None:
    async with httpx.AsyncClient(base_url=api.client.base_url, timeout=60) as nobody:
        for path in (
            f"/v1/products/{shop.product_key}",
            f"/v1/products/{NOBODY}",
            f"/v1/accounts/{shop.account_id}",
            f"/v1/accounts/{NO_ID}",
            f"/v1/devices/{shop.product_key}/dev0000/explain",
            "/v1/devices",
        ):
            answer = await nobody.get(path)
            assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in"), path


ADDRESSES = [
    "/v1/products/%00",
    "/v1/products/%ff%fe",
    "/v1/products/..%2f..%2fetc%2fpasswd",
    "/v1/products/" + "a" * 20_000,
    "/v1/devices/%2e%2e/%2e%2e",
    "/v1/devices/" + NOBODY + "/dev0000'--",
    "/v1/devices?cursor=" + "A" * 5000,
    "/v1/devices?cursor=%00",
    "/v1/devices?limit=-1&limit=99999999999999999999",
    "/v1/devices?state=%ff",
    "/v1/products?search=%25%27%22%5c",
    "/v1/accounts/" + NO_ID + "/codes",
    "/v1/lots?cursor=bm9uc2Vuc2U",
    "/sign-in/" + "x" * 3000,
    "/static/..%2f..%2frun.json",
    "/static/../../run.json",
]


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address[:40])
async def test_an_address_that_means_nothing_is_no_fault(said: dict[str, Any], address: str) -> None:
    """Sent as it is: a client would mend some of them."""
    asked = (
        f"GET {address} HTTP/1.1\r\nHost: licet\r\nAuthorization: Bearer {said['token']}\r\nConnection: close\r\n\r\n"
    )
    status, body = await _raw(said, asked.encode())
    assert 200 <= status < 500, body
    assert b"Traceback" not in body
    assert said["token"].encode() not in body


NOISE = {
    "two lengths": b"POST /v1/register HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
    "two ways to say how long": b"POST /v1/register HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/audit HTTP/1.1\r\n\r\n",
    "a length below nothing": b"POST /v1/register HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
    "a header without an end": b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 200_000,
    "MQTT": b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04abcd",
    "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(160),
    "another method": b"BREW /v1/register HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "a way to somewhere else": b"CONNECT licet:22 HTTP/1.1\r\nHost: licet:22\r\n\r\n",
    "a switch to another protocol": b"GET /v1/devices HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
}


@pytest.mark.parametrize("what", NOISE)
async def test_what_is_no_request_is_no_fault(said: dict[str, Any], api: Api, what: str) -> None:
    status, body = await _raw(said, NOISE[what])
    assert status == 0 or 400 <= status < 500, body
    assert (await api.client.get("/readyz")).status_code == 200


async def _raw(said: dict[str, Any], asked: bytes) -> tuple[int, bytes]:
    """The status of what is answered, 0 if nothing is; and all of it."""
    at = urlsplit(said["url"])
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    answer = b""
    with suppress(ConnectionError, TimeoutError):
        writer.write(asked)
        async with asyncio.timeout(3):
            while part := await reader.read(65_536):
                answer += part
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return (int(answer.split()[1]) if answer.startswith(b"HTTP/") else 0), answer
