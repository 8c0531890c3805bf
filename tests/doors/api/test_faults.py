"""What is not there, what goes wrong, and what every answer says besides."""

import logging

import httpx
import psycopg
import pytest
from doors.api.stage import Stage

from licet.keyring import Keyring
from licet.postgres.books import Books


async def test_what_is_not_there(stage: Stage) -> None:
    for path in ("/v1/nothing", "/v1", "/v1/products/", "/v2/products", "/v1/products/../../etc/passwd"):
        stage.refused(await stage.alice.get(path), 404, "no_such_path")
    answer = await stage.alice.put("/v1/products", json={})
    stage.refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]
    stage.refused(await stage.alice.request("BREW", "/v1/products"), 405, "method_not_allowed")


async def test_a_fault_is_logged_and_not_shown(
    stage: Stage, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("ALTER TABLE packages RENAME storage_days TO inner_life")
    answer = await stage.alice.get("/v1/packages", headers={"X-Request-Id": "mine-1"})
    problem = stage.refused(answer, 500, "fault")
    assert "storage_days" not in answer.text
    assert problem["request_id"] == answer.headers["x-request-id"] == "mine-1"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == 1
    assert "request mine-1" in logged[0].message
    assert logged[0].exc_info
    assert "storage_days" in str(logged[0].exc_info[1])


async def test_books_that_cannot_be_reached_are_a_refusal_that_passes(stage: Stage) -> None:
    async with Books.open("postgresql://licet@127.0.0.1:1/none?connect_timeout=1", Keyring({1: bytes(32)}, 1)) as away:
        away._pool.timeout = 0.2
        stage.app.state.door.books = away
        answer = await stage.alice.get("/v1/products")
        problem = stage.refused(answer, 503, "books_away")
        assert problem["transient"] is True
        assert answer.headers["retry-after"] == "2"
        ready = await stage.nobody.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"ready": False, "books": False, "devices": True})
        assert (await stage.nobody.get("/healthz")).status_code == 200


@pytest.mark.parametrize("said", ["", "a b", "x" * 101, "né"])
async def test_a_request_id_that_cannot_be_one_is_replaced(stage: Stage, said: str) -> None:
    answer = await stage.alice.get("/v1/products", headers={"X-Request-Id": said.encode("latin-1")})
    assert answer.headers["x-request-id"] != said
    assert len(answer.headers["x-request-id"]) == 24


async def test_every_answer_tells_the_browser_what_it_may_do(stage: Stage) -> None:
    for answer in [
        await stage.alice.get("/v1/products"),
        await stage.nobody.get("/v1/products"),
        await stage.nobody.get("/nothing"),
        await stage.nobody.get("/docs"),
        await stage.nobody.post("/sign-in", headers={"Sec-Fetch-Site": "cross-site"}),
        await stage.nobody.post("/v1/register", content=b" " * ((1 << 20) + 1)),
    ]:
        _check_headers(answer)
        assert "strict-transport-security" not in answer.headers
    assert (await stage.alice.get("/v1/products")).headers["cache-control"] == "no-store"


def _check_headers(answer: httpx.Response) -> None:
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]


async def test_secrets_are_never_in_the_log(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    product = await stage.product()
    pk = product["product_key"]
    secret = await stage.device(pk)
    link = stage.made(await stage.alice.post(f"/v1/people/{stage.people['bob']}/sign-in-links"), 201)["url"]
    knock = {"product_key": pk, "device_key": "thermo1", "device_secret": secret}
    await stage.gateway.post("/v1/admit", json=knock)
    await stage.nobody.post("/v1/register", json=knock)
    await stage.nobody.get(link)
    await stage.nobody.post(link, headers={"Origin": "http://licet.test"})
    await stage.alice.post("/v1/tokens", json={"name": secret * 20, "role": "viewer"})
    # httpx, which plays the client here, logs the addresses it asks; licet does not.
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("licet"))
    assert "/v1/admit" in ours
    hidden = [product["product_secret"], secret, link.rsplit("/", 1)[1], *stage.tokens.values()]
    assert not [each for each in hidden if each in ours]
