"""People at the door: links, passwords, cookies, other sites, and those who guess."""

from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from doors.api.stage import Stage
from fastapi import FastAPI, Request, Response

from licet import invite
from licet.accounts import PLATFORM, Scope
from licet.web.session import (
    Ask,
    set_password,
    sign_in_with_link,
    sign_in_with_password,
    sign_out,
    signed_in,
)

ORIGIN = {"Origin": "http://licet.test"}
PASSWORD = "correct horse battery"


@pytest.fixture
async def browser(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    _open_the_ways_in(stage.app)
    async with stage.a_client(**ORIGIN) as browser:
        yield browser


def _open_the_ways_in(app: FastAPI) -> None:
    """The functions that the console's pages call, each at an address of its own."""

    @app.post("/try/link/{link}")
    async def by_link(link: str, request: Request, response: Response) -> str:
        return (await sign_in_with_link(request, response, link)).person.name

    @app.post("/try/password/{email}/{password}")
    async def by_password(email: str, password: str, request: Request, response: Response) -> str:
        return (await sign_in_with_password(request, response, email, password)).person.name

    @app.post("/try/set/{password}")
    async def set_one(password: str, ask: Annotated[Ask, signed_in(Scope.READ)], current: str | None = None) -> None:
        await set_password(ask, password, current=current)

    @app.post("/try/out")
    async def out(request: Request, response: Response) -> None:
        await sign_out(request, response)


async def _link(stage: Stage, name: str) -> str:
    link, _ = await invite.sign_in_link(stage.books, stage.people[name], hours=24, by=PLATFORM, now=stage.clock.now)
    return link


async def test_a_link_signs_in_once(stage: Stage, browser: httpx.AsyncClient) -> None:
    link = await _link(stage, "alice")
    answer = await browser.post(f"/try/link/{link}")
    assert answer.json() == "Alice"
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("licet=")
    for attribute in ("httponly", "path=/", "samesite=lax", "max-age=43200"):
        assert attribute in cookie
    assert "domain" not in cookie
    assert stage.made(await browser.get("/v1/accounts"))["data"][0]["id"] == stage.acme
    stage.refused(await browser.post(f"/try/link/{link}"), 401, "link_spent")
    late = await _link(stage, "alice")
    stage.clock.move(hours=24)
    stage.refused(await browser.post(f"/try/link/{late}"), 401, "link_spent")


async def test_over_https_the_cookie_is_of_this_host_alone(stage: Stage, browser: httpx.AsyncClient) -> None:
    stage.app.state.door.public_url = "https://licet.test"
    answer = await browser.post(f"/try/link/{await _link(stage, 'alice')}")
    assert answer.headers["set-cookie"].startswith("__Host-licet=")
    assert "secure" in answer.headers["set-cookie"].lower()


async def test_a_session_ends_with_time_and_when_signed_out(stage: Stage, browser: httpx.AsyncClient) -> None:
    await browser.post(f"/try/link/{await _link(stage, 'alice')}")
    stage.clock.move(hours=12)
    stage.refused(await browser.get("/v1/products"), 401, "not_signed_in")
    await browser.post(f"/try/link/{await _link(stage, 'alice')}")
    stolen = browser.cookies["licet"]
    assert (await browser.get("/v1/products")).status_code == 200
    assert (await browser.post("/try/out")).status_code == 200
    assert "licet" not in browser.cookies
    browser.cookies.set("licet", stolen)
    stage.refused(await browser.get("/v1/products"), 401, "not_signed_in")


async def test_a_session_that_was_planted_is_worth_nothing(stage: Stage, browser: httpx.AsyncClient) -> None:
    """Mallory gives Alice's browser a session of her own choice, or her own session, before Alice signs in."""
    browser.cookies.set("licet", "chosen-by-mallory", domain="licet.test", path="/")
    await browser.post(f"/try/link/{await _link(stage, 'alice')}")
    assert [cookie.value for cookie in browser.cookies.jar] != ["chosen-by-mallory"]
    first = browser.cookies["licet"]
    await browser.post(f"/try/link/{await _link(stage, 'alice')}")
    assert browser.cookies["licet"] != first
    async with stage.a_client(cookie=f"licet={first}") as former:
        stage.refused(await former.get("/v1/products"), 401, "not_signed_in")


async def test_a_password(stage: Stage, browser: httpx.AsyncClient) -> None:
    await browser.post(f"/try/link/{await _link(stage, 'alice')}")
    unused = await _link(stage, "alice")
    stage.made(await browser.post(f"/try/set/{PASSWORD}"))
    async with stage.a_client(**ORIGIN) as other:
        stage.refused(await other.post(f"/try/link/{unused}"), 401, "link_spent")
        wrong = stage.refused(await other.post("/try/password/alice@licet.test/guess"), 401, "wrong_password")
        unknown = stage.refused(await other.post("/try/password/zoe@licet.test/guess"), 401, "wrong_password")
        assert wrong | {"request_id": ""} == unknown | {"request_id": ""}
        no_password = await other.post("/try/password/bob@licet.test/guess")
        stage.refused(no_password, 401, "wrong_password")
        assert (await other.post(f"/try/password/ALICE@licet.test/{PASSWORD}")).json() == "Alice"
        stage.clock.move(minutes=16)
        stage.refused(await browser.post("/try/set/another-password"), 401, "wrong_password")
        stage.refused(await browser.post("/try/set/another-password?current=guess"), 401, "wrong_password")
        stage.made(await browser.post("/try/set/another-password", params={"current": PASSWORD}))
        assert (await browser.get("/v1/products")).status_code == 200
        stage.refused(await other.get("/v1/products"), 401, "not_signed_in")
        stage.refused(await other.post(f"/try/password/alice@licet.test/{PASSWORD}"), 401, "wrong_password")


async def test_roles_are_read_at_every_request(stage: Stage, browser: httpx.AsyncClient) -> None:
    await browser.post(f"/try/link/{await _link(stage, 'max')}")
    stage.made(await browser.post("/v1/products", json={"name": "Thermostat"}), 201)
    at = f"/v1/people/{stage.people['max']}"
    stage.made(await stage.alice.patch(at, json={"role": "viewer"}))
    stage.refused(await browser.post("/v1/products", json={"name": "Lamp"}), 403, "not_permitted")
    assert (await stage.alice.delete(at)).status_code == 204
    stage.refused(await browser.get("/v1/products"), 401, "not_signed_in")


async def test_a_bad_token_is_not_made_up_for_by_a_session(stage: Stage, browser: httpx.AsyncClient) -> None:
    await browser.post(f"/try/link/{await _link(stage, 'alice')}")
    answer = await browser.get("/v1/products", headers={"Authorization": "Bearer licet_wrong"})
    stage.refused(answer, 401, "not_signed_in")


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://licet.test"}, True),
        ({"Origin": "http://licet.test"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://licet.test"}, False),
        ({"Origin": "http://evil.test"}, False),
        ({"Origin": "http://licet.test.evil.test"}, False),
        ({"Origin": "http://licet.test:8080"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
async def test_another_site_changes_nothing(stage: Stage, headers: dict[str, str], *, let_in: bool) -> None:
    begun = await invite.sign_in_by_link(
        stage.books, await _link(stage, "alice"), hours=12, address=None, now=stage.clock.now
    )
    async with stage.a_client(cookie=f"licet={begun.session}") as browser:
        asked = await browser.post("/v1/products", json={"name": "Thermostat"}, headers=headers)
        patched = await browser.patch(f"/v1/accounts/{stage.acme}", json={"name": "Acme"}, headers=headers)
        assert (await browser.get("/v1/products", headers=headers)).status_code == 200
    async with stage.a_client() as stranger:  # no cookie yet: a form that would sign a browser in as somebody else
        sign_in = await stranger.post("/sign-in", data={"email": "x", "password": "y"}, headers=headers)
    if let_in:
        assert (asked.status_code, patched.status_code) == (201, 200)
        assert sign_in.status_code != 403
    else:
        for answer in (asked, patched, sign_in):
            stage.refused(answer, 403, "cross_site")


async def test_a_program_needs_no_origin(stage: Stage) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.test"}
    stage.made(await stage.alice.post("/v1/products", json={"name": "X"}, headers=headers), 201)


async def test_those_who_guess_have_to_wait(stage: Stage, browser: httpx.AsyncClient) -> None:
    for guess in range(20):
        answer = await browser.post(f"/try/link/guess-{guess}")
        stage.refused(answer, 401, "link_spent")
    problem = stage.refused(await browser.post(f"/try/link/{await _link(stage, 'alice')}"), 429, "too_many_tries")
    assert problem["detail"] == "Wait 300 seconds and try again."
    assert problem["transient"] is True
    answer = await browser.post("/try/password/bob@licet.test/guess")
    stage.refused(answer, 429, "too_many_tries")
    assert answer.headers["retry-after"] == "300"
    stage.clock.move(minutes=5)
    assert (await browser.post(f"/try/link/{await _link(stage, 'alice')}")).json() == "Alice"


async def test_those_who_are_right_never_wait(stage: Stage, browser: httpx.AsyncClient) -> None:
    for _ in range(25):
        assert (await browser.post(f"/try/link/{await _link(stage, 'alice')}")).json() == "Alice"


async def test_wrong_tokens_are_answered_ever_more_tersely(stage: Stage) -> None:
    wrong = {"Authorization": "Bearer licet_wrong"}
    for _ in range(30):
        stage.refused(await stage.nobody.get("/v1/products", headers=wrong), 401, "not_signed_in")
    stage.refused(await stage.nobody.get("/v1/products", headers=wrong), 429, "too_many_tries")
    # A neighbour behind the same address, with a good token, is not concerned.
    assert (await stage.alice.get("/v1/products")).status_code == 200
    stage.clock.move(minutes=1)
    stage.refused(await stage.nobody.get("/v1/products", headers=wrong), 401, "not_signed_in")


async def test_wrong_registrations_have_to_wait(stage: Stage) -> None:
    asked = {"product_key": "a" * 11, "device_key": "thermo1", "nonce": "nonce-0001", "signature": "0" * 64}
    for _ in range(60):
        stage.refused(await stage.nobody.post("/v1/register", json=asked), 401, "not_authorized")
    stage.refused(await stage.nobody.post("/v1/register", json=asked), 429, "too_many_tries")
