"""Every path: what it is asked, and the shape of what it tells."""

import hashlib
import hmac

from doors.api.stage import Stage


async def test_accounts(stage: Stage) -> None:
    asked = {"name": "Initech", "kind": "individual", "time_zone": "Europe/Berlin"}
    opened = stage.made(await stage.operator.post("/v1/accounts", json=asked), 201)
    assert opened == asked | {
        "id": opened["id"],
        "data_center": "local",
        "mode": "charge",
        "opened_at": "2026-01-10T12:00:00Z",
    }
    counters = {"total": 5, "available": 5, "consumed": 0, "unassigned": 5, "near_expiry": 0}
    assert stage.made(await stage.operator.get(f"/v1/accounts/{opened['id']}/codes")) == counters
    changed = stage.made(await stage.operator.patch(f"/v1/accounts/{opened['id']}", json={"kind": "enterprise"}))
    assert changed == opened | {"kind": "enterprise"}
    counters |= {"total": 10, "available": 10, "unassigned": 10}
    assert stage.made(await stage.operator.get(f"/v1/accounts/{opened['id']}/codes")) == counters
    modes = [{"starts_on": "2026-01-10", "mode": "charge"}]
    assert stage.made(await stage.operator.get(f"/v1/accounts/{opened['id']}")) == changed | {"modes": modes}
    names = [each["name"] for each in stage.made(await stage.operator.get("/v1/accounts"))["data"]]
    assert sorted(names) == ["Acme", "Globex", "Initech"]
    found = stage.made(await stage.operator.get("/v1/accounts", params={"search": "ini"}))
    assert found == {"data": [changed], "next_cursor": None}


async def test_an_account_sees_and_names_itself(stage: Stage) -> None:
    own = stage.made(await stage.alice.get("/v1/accounts"))["data"]
    assert [each["id"] for each in own] == [stage.acme]
    renamed = await stage.alice.patch(
        f"/v1/accounts/{stage.acme}", json={"name": "Acme & Sons", "time_zone": "Asia/Tokyo"}
    )
    assert stage.made(renamed) == own[0] | {"name": "Acme & Sons", "time_zone": "Asia/Tokyo"}
    assert (await stage.alice.patch(f"/v1/accounts/{stage.acme}", json={"kind": "individual"})).status_code == 403


async def test_packages(stage: Stage) -> None:
    asked = {"name": "five", "term": "P5Y", "messages_per_day": 1500, "ota_per_month": 1, "storage_days": 7}
    defined = stage.made(await stage.operator.post("/v1/packages", json=asked), 201)
    assert defined == asked | {"id": defined["id"], "day_count": "calendar"}
    thirty = await stage.operator.post("/v1/packages", json=asked | {"name": "30/360", "day_count": "30/360"})
    assert stage.made(thirty, 201)["day_count"] == "30/360"
    listed = stage.made(await stage.bob.get("/v1/packages"))["data"]
    assert {each["name"] for each in listed} == {"30/360", "five", "Free codes P1Y"}
    taken = stage.refused(await stage.operator.post("/v1/packages", json=asked), 409, "name_taken")
    assert taken["title"] == "There is a package named five already."


async def test_products(stage: Stage) -> None:
    created = stage.made(await stage.alice.post("/v1/products", json={"name": "Thermostat"}), 201)
    secret = created.pop("product_secret")
    assert created == {
        "product_key": created["product_key"],
        "account_id": stage.acme,
        "name": "Thermostat",
        "auto_renewal": True,
        "renewal_policy": "on_schedule",
        "dynamic_authentication": created["dynamic_authentication"],
        "keep_days": None,
        "codes": {"total": 0, "available": 0, "consumed": 0},
        "package": None,
        "created_at": "2026-01-10T12:00:00Z",
    }
    at = f"/v1/products/{created['product_key']}"
    assert stage.made(await stage.bob.get(at)) == created
    changes = {"name": "Thermo", "auto_renewal": False, "renewal_policy": "on_connect", "dynamic_authentication": False}
    assert stage.made(await stage.alice.patch(at, json=changes)) == created | changes
    assert stage.made(await stage.bob.get("/v1/products", params={"search": "thermo"}))["data"] == [created | changes]
    assert stage.made(await stage.bob.get("/v1/products", params={"search": "lamp"}))["data"] == []
    other = stage.made(await stage.alice.post(f"{at}/secret"), 201)
    assert other["product_secret"] != secret
    assert (await stage.alice.delete(at)).status_code == 204
    assert (await stage.alice.get(at)).status_code == 404


async def test_lots_assignments_and_upgrade(stage: Stage) -> None:
    product, package = await stage.product(), await stage.package()
    pk = product["product_key"]
    lot = await stage.lot(package["id"], 120, "order 7")
    assert lot == {
        "id": lot["id"],
        "account_id": stage.acme,
        "product_key": None,
        "package_id": package["id"],
        "origin": "purchase",
        "quantity": 120,
        "assigned": 0,
        "order_reference": "order 7",
        "use_by": None,
        "credited_at": "2026-01-10T12:00:00Z",
    }
    assert await stage.lot(package["id"], 120, "order 7") == lot
    again = {"account_id": stage.acme, "package_id": package["id"], "quantity": 121, "order_reference": "order 7"}
    differs = await stage.operator.post("/v1/lots", json=again)
    assert (differs.status_code, differs.json()["code"]) == (409, "order_already_credited")
    where = {"product_key": pk, "package_id": package["id"]}
    dry = stage.made(await stage.alice.get("/v1/assignments?dry_run", params=where | {"dry_run": ""}))
    assert dry == where | {"maximum": 120}
    assigned = stage.made(await stage.alice.post("/v1/assignments", json=where | {"quantity": 100}), 201)
    assert assigned == where | {
        "id": assigned["id"],
        "account_id": stage.acme,
        "product_name": "Thermostat",
        "package": package,
        "quantity": 100,
        "assigned_at": "2026-01-10T12:00:00Z",
        "assigned_by": "alice's program",
    }
    assert stage.made(await stage.bob.get("/v1/assignments"))["data"] == [assigned]
    few = await stage.alice.post("/v1/assignments", json=where | {"quantity": 21})
    assert few.json()["title"] == "21 codes asked for, 20 unassigned."
    assert few.json()["facts"] == {"quantity": 21, "maximum": 20}
    larger = await stage.package("year-3000", messages_per_day=3000)
    upgraded = await stage.alice.post(f"/v1/products/{pk}/upgrade", json={"package_id": larger["id"]})
    assert stage.made(upgraded)["package"] == larger
    assert stage.made(upgraded)["codes"] == {"total": 100, "available": 100, "consumed": 0}
    down = await stage.alice.post(f"/v1/products/{pk}/upgrade", json={"package_id": package["id"]})
    assert (down.status_code, down.json()["code"]) == (409, "not_an_upgrade")
    forced = {"package_id": package["id"], "force": True}
    assert (await stage.alice.post(f"/v1/products/{pk}/upgrade", json=forced)).status_code == 403
    assert stage.made(await stage.operator.post(f"/v1/products/{pk}/upgrade", json=forced))["package"] == package
    kinds = [each["origin"] for each in stage.made(await stage.bob.get("/v1/lots"))["data"]]
    assert sorted(kinds) == ["free", "purchase"]


async def test_devices(stage: Stage) -> None:
    pk, _ = await stage.sold()
    lines = [{"device_key": "thermo1", "device_secret": "s3cret-of-1"}, {"device_key": "thermo2"}]
    imported = stage.made(await stage.alice.post(f"/v1/products/{pk}/devices", json={"devices": lines}), 201)["data"]
    assert imported[0] == lines[0]
    knock = {"product_key": pk, "device_key": "thermo1", "device_secret": "s3cret-of-1"}
    answer = stage.made(await stage.gateway.post("/v1/admit", json=knock))
    assert (answer["admitted"], answer["until"], answer["refusal"]) == (True, "2027-01-10T12:00:00Z", None)
    stage.online.add((pk, "thermo1"))
    device = stage.made(await stage.bob.get(f"/v1/devices/{pk}/thermo1"))
    assert device == {
        "product_key": pk,
        "product_name": "Thermostat",
        "device_key": "thermo1",
        "state": "active",
        "online": True,
        "virtual": False,
        "renews": True,
        "codes_consumed": 1,
        "activated_at": "2026-01-10T12:00:00Z",
        "expires_at": "2027-01-10T12:00:00Z",
        "enrolled_at": "2026-01-10T12:00:00Z",
    }
    history = stage.made(await stage.bob.get(f"/v1/devices/{pk}/thermo1/activations"))["data"]
    assert [(each["number"], each["starts_at"], each["ends_at"], each["reason"]) for each in history] == [
        (1, "2026-01-10T12:00:00Z", "2027-01-10T12:00:00Z", "first")
    ]
    assert history[0]["order_reference"] == "order 1"
    assert history[0]["lot_id"].startswith("lot_")
    explained = stage.made(await stage.bob.get(f"/v1/devices/{pk}/thermo2/explain"))
    assert (explained["admitted"], explained["consumes"], explained["refusal"]) == (True, True, None)
    assert explained["facts"]
    reset = stage.made(await stage.alice.post(f"/v1/devices/{pk}/thermo1/reset"))
    assert reset["device_secret"] != "s3cret-of-1"
    assert stage.made(await stage.gateway.post("/v1/admit", json=knock))["refusal"] == "not_authorized"
    assert (await stage.alice.delete(f"/v1/devices/{pk}/thermo2")).status_code == 204
    assert (await stage.alice.get(f"/v1/devices/{pk}/thermo2")).status_code == 404


async def test_devices_are_found_by_what_they_are(stage: Stage) -> None:
    pk, _ = await stage.sold()
    secret = await stage.device(pk, "lamp1")
    await stage.device(pk, "thermo1")
    knock = {"product_key": pk, "device_key": "lamp1", "device_secret": secret}
    stage.made(await stage.gateway.post("/v1/admit", json=knock))

    async def found(**filters: str) -> list[str]:
        return [each["device_key"] for each in stage.made(await stage.bob.get("/v1/devices", params=filters))["data"]]

    assert await found() == ["lamp1", "thermo1"]
    assert await found(state="active") == ["lamp1"]
    assert await found(state="inactive", product_key=pk) == ["thermo1"]
    assert await found(device_key="ther") == ["thermo1"]
    assert await found(activated_from="2026-01-10T12:00:00Z", activated_to="2026-01-10T12:00:01+00:00") == ["lamp1"]
    assert await found(expires_from="2027-01-10T13:00:00+01:00", expires_to="2028-01-01T00:00:00Z") == ["lamp1"]
    assert await found(near_expiry="") == []
    stage.clock.move(days=340)
    assert await found(near_expiry="true") == ["lamp1"]
    assert await found(near_expiry="true", state="inactive") == []
    counted = stage.made(await stage.bob.get(f"/v1/accounts/{stage.acme}/codes"))
    assert counted["near_expiry"] == 1


async def test_the_list_of_devices_that_do_not_renew(stage: Stage) -> None:
    pk, _ = await stage.sold()
    await stage.device(pk, "thermo1")
    at = f"/v1/products/{pk}/no-renewal"
    assert (await stage.alice.put(f"{at}/thermo1")).status_code == 204
    assert (await stage.alice.put(f"{at}/thermo1")).status_code == 204
    assert stage.made(await stage.bob.get(at))["data"] == [
        {"device_key": "thermo1", "listed_at": "2026-01-10T12:00:00Z"}
    ]
    assert stage.made(await stage.bob.get(f"/v1/devices/{pk}/thermo1"))["renews"] is False
    assert (await stage.alice.delete(f"{at}/thermo1")).status_code == 204
    assert stage.made(await stage.bob.get(at)) == {"data": [], "next_cursor": None}
    assert (await stage.alice.put(f"{at}/unknown")).status_code == 404


async def test_registration(stage: Stage) -> None:
    product = await stage.product()
    pk, nonce = product["product_key"], "nonce-0001"
    await stage.alice.patch(f"/v1/products/{pk}", json={"dynamic_authentication": True})
    signed = hmac.new(product["product_secret"].encode(), f"{pk}/thermo9/{nonce}".encode(), hashlib.sha256).hexdigest()
    asked = {"product_key": pk, "device_key": "thermo9", "nonce": nonce, "signature": signed}
    told = stage.made(await stage.nobody.post("/v1/register", json=asked))
    assert set(told) == {"device_secret"}
    again = await stage.nobody.post("/v1/register", json=asked)
    assert again.status_code == 409
    wrong = await stage.nobody.post("/v1/register", json=asked | {"signature": "0" * 64})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "not_authorized")
    unknown = await stage.nobody.post("/v1/register", json=asked | {"product_key": "a" * 11})
    assert unknown.json() | {"request_id": ""} == wrong.json() | {"request_id": ""}


async def test_many_are_admitted_at_once(stage: Stage) -> None:
    pk, _ = await stage.sold(codes=1)
    secrets = {key: await stage.device(pk, key) for key in ("thermo1", "thermo2")}
    knocks = [{"product_key": pk, "device_key": key, "device_secret": secret} for key, secret in secrets.items()]
    wrong = {"device_secret": "wrong"}, {"device_key": "a/b"}, {"product_key": "\0"}
    knocks += [knocks[0] | other for other in wrong]
    data = stage.made(await stage.gateway.post("/v1/admit", json={"knocks": knocks}))["data"]
    assert [each["refusal"] for each in data] == [None, "no_code_available", *["not_authorized"] * 3]
    assert data[1]["device_code"] == 61016
    assert data[1]["sentence"] == "Thermostat has no code left: 1 of 1 consumed."
    assert stage.made(await stage.bob.get(f"/v1/products/{pk}"))["codes"] == {"total": 1, "available": 0, "consumed": 1}


async def test_a_gateway_of_one_account_admits_that_accounts_devices_alone(stage: Stage) -> None:
    pk, _ = await stage.sold()
    knock = {"product_key": pk, "device_key": "thermo1", "device_secret": await stage.device(pk)}
    for account_id, refusal in ((stage.globex, "not_authorized"), (stage.acme, None)):
        asked = {"account_id": account_id, "name": "gateway", "role": "broker"}
        token = stage.made(await stage.operator.post("/v1/tokens", json=asked), 201)["token"]
        async with stage.a_client(authorization=f"Bearer {token}") as gateway:
            assert stage.made(await gateway.post("/v1/admit", json=knock))["refusal"] == refusal


async def test_people_tokens_and_the_audit_log(stage: Stage) -> None:
    asked = {"email": "Carol@Acme.example", "name": "Carol", "role": "member"}
    person = stage.made(await stage.alice.post("/v1/people", json=asked), 201)
    assert person == asked | {
        "id": person["id"],
        "account_id": stage.acme,
        "email": "carol@acme.example",
        "invited_at": "2026-01-10T12:00:00Z",
    }
    assert person in stage.made(await stage.alice.get("/v1/people"))["data"]
    changed = await stage.alice.patch(f"/v1/people/{person['id']}", json={"role": "viewer"})
    assert stage.made(changed) == person | {"role": "viewer"}
    link = stage.made(await stage.alice.post(f"/v1/people/{person['id']}/sign-in-links"), 201)
    assert link["url"].startswith("http://licet.test/sign-in/")
    assert link["expires_at"] == "2026-01-11T12:00:00Z"
    assert (await stage.alice.delete(f"/v1/people/{person['id']}")).status_code == 204
    assert (await stage.alice.delete(f"/v1/people/{person['id']}")).status_code == 404
    token = stage.made(
        await stage.alice.post("/v1/tokens", json={"name": "CI", "role": "member", "scopes": ["read"]}), 201
    )
    assert token.pop("token").startswith("licet_")
    assert token == {
        "id": token["id"],
        "account_id": stage.acme,
        "name": "CI",
        "role": "member",
        "scopes": ["read"],
        "issued_at": "2026-01-10T12:00:00Z",
        "expires_at": None,
        "revoked_at": None,
    }
    assert (await stage.alice.delete(f"/v1/tokens/{token['id']}")).status_code == 204
    assert (await stage.alice.delete(f"/v1/tokens/{token['id']}")).status_code == 204
    ended = [each for each in stage.made(await stage.alice.get("/v1/tokens"))["data"] if each["id"] == token["id"]]
    assert ended == [token | {"revoked_at": "2026-01-10T12:00:00Z"}]
    log = stage.made(await stage.alice.get("/v1/audit", params={"subject": person["id"]}))["data"]
    assert [each["act"] for each in log] == ["remove person", "make sign-in link", "change role", "invite person"]
    assert {each["by_name"] for each in log} == {"alice's program"}
    assert {each["address"] for each in log} == {"192.0.2.7"}
    assert (log[2]["before"], log[2]["after"]) == ({"role": "member"}, {"role": "viewer"})


async def test_events(stage: Stage) -> None:
    pk, _ = await stage.sold()
    told = stage.made(await stage.bob.get("/v1/events", params={"product_key": pk}))["data"]
    assert [each["kind"] for each in told] == ["codes_assigned", "codes_credited", "product_created"]
    assert {each["account_id"] for each in told} == {stage.acme}
    assert stage.made(await stage.mallory.get("/v1/events", params={"product_key": pk}))["data"] == []


async def test_health(stage: Stage) -> None:
    assert stage.made(await stage.nobody.get("/healthz")) == {"status": "ok"}
    assert stage.made(await stage.nobody.get("/readyz")) == {"ready": True, "books": True, "devices": True}
    await stage.bob.get("/v1/products")
    counted = (await stage.nobody.get("/metrics")).text
    assert 'licet_knocks_total{answer="admitted"} 3.0' in counted
    assert 'licet_http_requests_total{method="GET",route="/v1/products",status="200"} 1.0' in counted
    assert 'licet_books_pool{what="pool_size"}' in counted


async def test_the_docs_need_no_other_server(stage: Stage) -> None:
    page = await stage.nobody.get("/docs")
    assert "http" not in page.text
    for asset in (
        "/docs/assets/swagger-ui.css",
        "/docs/assets/swagger-ui-bundle.js",
        "/docs/start.js",
        "/openapi.json",
    ):
        assert (await stage.nobody.get(asset)).status_code == 200, asset
