"""Idempotency-Key: a request is done once, however often it is sent, and its answer is kept with its effect."""

import asyncio
from typing import Any

import psycopg
from doors.api.stage import Stage

KEY = {"Idempotency-Key": "order-7"}
JSON = {"content-type": "application/json"}


async def test_the_same_key_is_the_same_answer_and_nothing_is_done_twice(stage: Stage) -> None:
    first = await stage.alice.post("/v1/products", json={"name": "Thermostat"}, headers=KEY)
    again = await stage.alice.post("/v1/products", content=b' {"name":\n"Thermostat"}', headers=KEY | JSON)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert "product_secret" in again.json()
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert len(stage.made(await stage.alice.get("/v1/products"))["data"]) == 1
    stage.clock.move(days=3650)
    assert (await stage.alice.post("/v1/products", json={"name": "Thermostat"}, headers=KEY)).content == first.content


async def test_another_request_under_the_same_key_is_refused(stage: Stage) -> None:
    stage.made(await stage.alice.post("/v1/products", json={"name": "Thermostat"}, headers=KEY), 201)
    other = await stage.alice.post("/v1/products", json={"name": "Lamp"}, headers=KEY)
    stage.refused(other, 409, "idempotency_key_reused")
    elsewhere = await stage.alice.post("/v1/tokens", json={"name": "Thermostat", "role": "viewer"}, headers=KEY)
    stage.refused(elsewhere, 409, "idempotency_key_reused")


async def test_a_key_belongs_to_an_account(stage: Stage) -> None:
    acmes = stage.made(await stage.alice.post("/v1/products", json={"name": "Thermostat"}, headers=KEY), 201)
    hers = stage.made(await stage.mallory.post("/v1/products", json={"name": "Thermostat"}, headers=KEY), 201)
    assert acmes["product_key"] != hers["product_key"]
    assert hers["account_id"] == stage.globex


async def test_ten_at_once_are_one(stage: Stage) -> None:
    package = await stage.package()
    lot = {"account_id": stage.acme, "package_id": package["id"], "quantity": 5, "order_reference": "order 7"}
    answers = await asyncio.gather(*[stage.operator.post("/v1/lots", json=lot, headers=KEY) for _ in range(10)])
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 9
    products = await asyncio.gather(
        *[stage.alice.post("/v1/products", json={"name": f"P{n % 2}"}, headers=KEY) for n in range(10)]
    )
    assert sorted(answer.status_code for answer in products) == [201] * 5 + [409] * 5
    assert len(stage.made(await stage.alice.get("/v1/products"))["data"]) == 1


async def test_a_refusal_keeps_nothing(stage: Stage) -> None:
    product, package = await stage.product(), await stage.package()
    asked = {"product_key": product["product_key"], "package_id": package["id"], "quantity": 3}
    stage.refused(await stage.alice.post("/v1/assignments", json=asked, headers=KEY), 409, "too_few_unassigned")
    stage.refused(await stage.alice.post("/v1/assignments", json=asked, headers=KEY), 409, "too_few_unassigned")
    await stage.lot(package["id"], 5, "order 7")
    assigned = stage.made(await stage.alice.post("/v1/assignments", json=asked, headers=KEY), 201)
    assert stage.made(await stage.alice.post("/v1/assignments", json=asked, headers=KEY), 201) == assigned
    assert len(stage.made(await stage.alice.get("/v1/assignments"))["data"]) == 1


async def test_what_fails_before_its_end_was_not_done(stage: Stage, database_url: str) -> None:
    """The effect is written, the answer cannot be: then neither is in the books, and the request may be sent again."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
        await other.execute("ALTER TABLE asks ADD CONSTRAINT no_answers CHECK (status IS NULL)")
        failed = await stage.alice.post("/v1/products", json={"name": "Thermostat"}, headers=KEY)
        stage.refused(failed, 500, "fault")
        assert "no_answers" not in failed.text
        assert stage.made(await stage.alice.get("/v1/products"))["data"] == []
        await other.execute("ALTER TABLE asks DROP CONSTRAINT no_answers")
    stage.made(await stage.alice.post("/v1/products", json={"name": "Thermostat"}, headers=KEY), 201)
    assert len(stage.made(await stage.alice.get("/v1/products"))["data"]) == 1


async def test_who_waits_for_one_that_dies_does_it(stage: Stage, database_url: str) -> None:
    """Somebody else has claimed the key and is at work; their connection ends before they are done."""
    other = await psycopg.AsyncConnection.connect(database_url)
    await other.execute(
        "INSERT INTO asks (scope, key, fingerprint, asked_at) VALUES (%s, 'order-7', 'x', now())", [stage.acme]
    )
    waiting = asyncio.create_task(stage.alice.post("/v1/products", json={"name": "Thermostat"}, headers=KEY))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as watcher:
        while not await _somebody_waits(watcher):  # noqa: ASYNC110 - nobody tells when a lock is waited for
            await asyncio.sleep(0.01)
    assert not waiting.done()
    await other.close()
    stage.made(await waiting, 201)


async def test_every_post_that_asks_who_it_is_takes_a_key(stage: Stage) -> None:
    pk, package = await stage.sold()
    await stage.device(pk)
    larger = await stage.package("larger", messages_per_day=3000)
    token = {"name": "CI", "role": "viewer"}
    person = {"email": "carol@acme.example", "name": "Carol", "role": "viewer"}
    figures = {"term": "P1Y", "messages_per_day": 1, "ota_per_month": 1, "storage_days": 1}
    lot = {"account_id": stage.acme, "package_id": package, "quantity": 1, "order_reference": "M"}
    posts: list[tuple[str, Any]] = [
        ("/v1/accounts", {"name": "X", "kind": "enterprise"}),
        ("/v1/packages", figures | {"name": "X"}),
        ("/v1/products", {"account_id": stage.acme, "name": "X"}),
        (f"/v1/products/{pk}/secret", None),
        ("/v1/lots", lot),
        (f"/v1/products/{pk}/devices", {"devices": [{"device_key": "thermo2"}]}),
        (f"/v1/devices/{pk}/thermo1/reset", None),
        ("/v1/people", person | {"account_id": stage.acme}),
        (f"/v1/people/{stage.people['bob']}/sign-in-links", None),
        ("/v1/tokens", token | {"account_id": stage.acme}),
        (f"/v1/products/{pk}/upgrade", {"package_id": larger["id"]}),
    ]
    for path, body in posts:
        headers = {"Idempotency-Key": path}
        first = await stage.operator.post(path, json=body, headers=headers)
        again = await stage.operator.post(path, json=body, headers=headers)
        assert first.is_success, (path, first.text)
        assert (again.status_code, again.content) == (first.status_code, first.content), path


async def test_the_answer_is_sealed_in_the_books(stage: Stage, database_url: str) -> None:
    created = stage.made(await stage.alice.post("/v1/products", json={"name": "Thermostat"}, headers=KEY), 201)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        row = await (await connection.execute("SELECT sealed_answer, status FROM asks")).fetchone()
    assert row is not None
    assert row[1] == 201
    assert created["product_secret"].encode() not in row[0]


async def test_a_body_that_nobody_reads_may_be_anything(stage: Stage) -> None:
    pk, _ = await stage.sold()
    for number, body in enumerate((b"", b"{", b"[" * 100_000, b"\xff", b"9" * 5000)):
        headers = {"Idempotency-Key": f"secret-{number}"}
        first = stage.made(await stage.alice.post(f"/v1/products/{pk}/secret", content=body, headers=headers), 201)
        again = stage.made(await stage.alice.post(f"/v1/products/{pk}/secret", content=body, headers=headers), 201)
        assert first == again


async def test_a_key_is_printable(stage: Stage) -> None:
    for key in ("", "a b", "x" * 256):
        answer = await stage.alice.post("/v1/products", json={"name": "X"}, headers={"Idempotency-Key": key})
        problem = stage.refused(answer, 422, "malformed")
        assert [(each["where"], each["field"]) for each in problem["errors"]] == [("header", "Idempotency-Key")]


async def _somebody_waits(watcher: psycopg.AsyncConnection[Any]) -> bool:
    found = await watcher.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    row = await found.fetchone()
    return bool(row and row[0])
