"""Who may do what: every role on every path there is. Mallory of Globex finds nothing of Acme's."""

from typing import Any

import pytest
from doors.api.stage import Stage

from licet.accounts import SCOPES, Role, Scope
from licet.web.app import bare_app
from licet.web.openapi import scopes_of

CAST = {
    "operator": Role.OPERATOR,
    "alice": Role.OWNER,
    "max": Role.MEMBER,
    "bob": Role.VIEWER,
    "mallory": Role.OWNER,
    "gateway": Role.BROKER,
    "collector": Role.INGEST,
}

#: The only paths that ask nobody who they are; at the last two devices show their own secret.
OPEN = {"/v1/register", "/healthz", "/readyz", "/metrics", "/v1/firmware/offer", "/v1/firmware/{firmware_id}/file"}

#: What Mallory asks that is not about Acme's things at all.
HER_OWN = {
    ("/v1/packages", "get"),
    ("/v1/accounts", "get"),
    ("/v1/usage/{kind}", "get"),
    ("/v1/usage", "post"),
    ("/v1/ledger/{kind}", "get"),
}


@pytest.fixture
async def things(stage: Stage) -> dict[str, str]:
    """Something of Acme's for every name that a path can hold, and a body for every path that takes one."""
    pk, package = await stage.sold()
    await stage.device(pk, "thermo1")
    issued = await stage.alice.post("/v1/tokens", json={"name": "CI", "role": "viewer"})
    uploaded = await stage.alice.post("/v1/firmware", params={"name": "1.2"}, content=b"firmware")
    offer = {"product_key": pk, "firmware_id": uploaded.json()["id"], "all": True}
    campaign = await stage.alice.post("/v1/ota/campaigns", json=offer)
    sent = await stage.alice.post(f"/v1/devices/{pk}/thermo1/messages", json={"topic": "set", "payload": "on"})
    upgrade = await stage.alice.post("/v1/ota", json={"product_key": pk, "device_key": "thermo1", "bytes": 1})
    return {
        "firmware_id": uploaded.json()["id"],
        "campaign_id": campaign.json()["id"],
        "upgrade_id": upgrade.json()["id"],
        "message_id": sent.json()["id"],
        "account_id": stage.acme,
        "pk": pk,
        "dk": "thermo1",
        "kind": "messages",
        "month": "2026-01",
        "package_id": package,
        "person_id": stage.people["bob"],
        "token_id": issued.json()["id"],
    }


def _bodies(things: dict[str, str]) -> dict[tuple[str, str], Any]:
    acme, pk, package = things["account_id"], things["pk"], things["package_id"]
    figures = {"term": "P1Y", "messages_per_day": 1, "ota_per_month": 1, "storage_days": 1}
    lot = {"account_id": acme, "package_id": package, "quantity": 1, "order_reference": "M"}
    return {
        ("/v1/accounts", "post"): {"name": "X", "kind": "enterprise"},
        ("/v1/accounts/{account_id}", "patch"): {"name": "X"},
        ("/v1/packages", "post"): figures | {"name": "X"},
        ("/v1/products", "post"): {"account_id": acme, "name": "X"},
        ("/v1/products/{pk}", "patch"): {"name": "X"},
        ("/v1/products/{pk}/upgrade", "post"): {"package_id": package},
        ("/v1/lots", "post"): lot,
        ("/v1/assignments", "post"): {"product_key": pk, "package_id": package, "quantity": 1},
        ("/v1/products/{pk}/devices", "post"): {"devices": [{"device_key": "evil"}]},
        ("/v1/devices/{pk}/{dk}/messages", "post"): {"topic": "set", "payload": "evil"},
        ("/v1/admit", "post"): {"product_key": pk, "device_key": "thermo1", "device_secret": "x"},
        ("/v1/people", "post"): {"account_id": acme, "email": "x@licet.test", "name": "X", "role": "viewer"},
        ("/v1/people/{person_id}", "patch"): {"role": "viewer"},
        ("/v1/tokens", "post"): {"account_id": acme, "name": "X", "role": "viewer"},
        ("/v1/ota", "post"): {"product_key": pk, "device_key": "thermo1", "bytes": 1},
        ("/v1/topups", "post"): {"account_id": acme, "kind": "ota", "quantity": 1, "reference": "M"},
        ("/v1/statements/{account_id}/{month}/payments", "post"): {"kind": "ota", "quantity": 1, "reference": "M"},
        ("/v1/ota/{upgrade_id}", "patch"): {"state": "failed"},
        ("/v1/ota/campaigns", "post"): {"product_key": pk, "firmware_id": things["firmware_id"], "all": True},
    }


async def test_every_path_needs_a_scope_but_for_the_open_ones(stage: Stage) -> None:
    paths = list(scopes_of(bare_app()))
    assert len(paths) > 40
    assert {path for path, _, scope in paths if scope is None} == OPEN


async def test_nobody_comes_in_without_a_token(stage: Stage, things: dict[str, str]) -> None:
    bodies = _bodies(things)
    for path, method, scope in scopes_of(bare_app()):
        if scope is not None:
            for headers in ({}, {"authorization": "Bearer licet_wrong"}, {"authorization": "Basic eDp5"}):
                answer = await stage.nobody.request(
                    method, path.format(**things), json=bodies.get((path, method)), headers=headers
                )
                if answer.status_code != 429:  # a good many wrong tokens were shown by now
                    stage.refused(answer, 401, "not_signed_in")
                    assert answer.headers["www-authenticate"] == "Bearer"


async def test_no_role_does_what_its_scopes_do_not_hold(stage: Stage, things: dict[str, str]) -> None:
    bodies = _bodies(things)
    asked = 0
    for path, method, scope in scopes_of(bare_app()):
        for name, role in CAST.items():
            if scope is not None and scope not in SCOPES[role]:
                answer = await getattr(stage, name).request(
                    method, path.format(**things), json=bodies.get((path, method))
                )
                problem = stage.refused(answer, 403, "not_permitted")
                assert problem["facts"]["scope"] == scope.value
                asked += 1
    assert asked > 60
    assert stage.made(await stage.bob.get(f"/v1/products/{things['pk']}"))["name"] == "Thermostat"


async def test_what_is_acmes_does_not_exist_for_mallory(stage: Stage, things: dict[str, str]) -> None:
    bodies = _bodies(things)
    before = stage.made(await stage.operator.get("/v1/audit", params={"limit": 200}))
    for path, method, scope in scopes_of(bare_app()):
        if scope is None or scope not in SCOPES[Role.OWNER] or (path, method) in HER_OWN:
            continue
        listed = method == "get" and "{" not in path
        params = {"account_id": things["account_id"]} if listed or path == "/v1/firmware" else {}
        params |= {"name": "X"} if (path, method) == ("/v1/firmware", "post") else {}
        answer = await stage.mallory.request(
            method, path.format(**things), json=bodies.get((path, method)), params=params
        )
        stage.refused(answer, 404, "not_found")
    assert stage.made(await stage.operator.get("/v1/audit", params={"limit": 200})) == before


async def test_what_mallory_lists_is_her_own(stage: Stage, things: dict[str, str]) -> None:
    for path, method, scope in scopes_of(bare_app()):
        if method == "get" and scope in {Scope.READ, Scope.PEOPLE} and "{" not in path:
            text = (await stage.mallory.get(path)).text
            assert stage.acme not in text
            assert things["pk"] not in text
    dry = {"dry_run": "", "product_key": things["pk"], "package_id": things["package_id"]}
    stage.refused(await stage.mallory.get("/v1/assignments", params=dry), 404, "not_found")


async def test_what_belongs_to_another_is_told_as_what_never_was(stage: Stage, things: dict[str, str]) -> None:
    for path in ("/v1/products/{pk}", "/v1/devices/{pk}/{dk}", "/v1/accounts/{account_id}"):
        of_another = await stage.mallory.get(path.format(**things))
        never_was = await stage.mallory.get(path.format(pk="Z" * 11, dk="none", account_id="acc_" + "0" * 20))
        no_name = await stage.mallory.get(path.format(pk="a%00b", dk="%00", account_id="%FF"))
        problems = [each.json() | {"request_id": None} for each in (of_another, never_was, no_name)]
        assert problems[0] == problems[1], path
        assert no_name.status_code == 404


async def test_nobody_gives_more_than_they_have(stage: Stage, things: dict[str, str]) -> None:
    people_only = {"name": "people", "role": "owner", "scopes": ["people"]}
    token = stage.made(await stage.alice.post("/v1/tokens", json=people_only), 201)["token"]
    async with stage.a_client(authorization=f"Bearer {token}") as clerk:
        for role in ("owner", "member", "viewer"):
            stage.refused(await clerk.post("/v1/tokens", json={"name": "X", "role": role}), 403, "not_permitted")
            person = {"email": "x@licet.test", "name": "X", "role": role}
            stage.refused(await clerk.post("/v1/people", json=person), 403, "not_permitted")
        link = await clerk.post(f"/v1/people/{stage.people['alice']}/sign-in-links")
        stage.refused(link, 403, "not_permitted")
    for role in ("operator", "broker"):
        stage.refused(await stage.alice.post("/v1/tokens", json={"name": "X", "role": role}), 403, "not_permitted")
    operator = {"email": "x@licet.test", "name": "X", "role": "operator"}
    stage.refused(await stage.alice.post("/v1/people", json=operator), 403, "not_permitted")
    of_the_operator = f"/v1/people/{stage.people['operator']}"
    stage.refused(await stage.alice.post(f"{of_the_operator}/sign-in-links"), 404, "not_found")
    stage.refused(await stage.alice.delete(of_the_operator), 404, "not_found")
    stage.refused(await stage.alice.patch(of_the_operator, json={"role": "viewer"}), 404, "not_found")


async def test_a_token_ends_when_it_is_revoked_or_expires(stage: Stage) -> None:
    asked = {"name": "CI", "role": "viewer", "expires_at": "2026-01-10T13:00:00Z"}
    issued = stage.made(await stage.alice.post("/v1/tokens", json=asked), 201)
    other = stage.made(await stage.alice.post("/v1/tokens", json=asked), 201)
    async with stage.a_client(authorization=f"Bearer {issued['token']}") as program:
        assert (await program.get("/v1/products")).status_code == 200
        stage.clock.move(hours=1)
        stage.refused(await program.get("/v1/products"), 401, "not_signed_in")
    stage.clock.move(hours=-1)
    async with stage.a_client(authorization=f"Bearer {other['token']}") as program:
        assert (await program.get("/v1/products")).status_code == 200
        await stage.alice.delete(f"/v1/tokens/{other['id']}")
        stage.refused(await program.get("/v1/products"), 401, "not_signed_in")
