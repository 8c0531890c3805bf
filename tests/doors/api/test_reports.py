"""Use from outside as CloudEvents: read strictly, counted once, and what cannot be counted is seen by the operator."""

import json
from typing import Any

from doors.api.stage import Stage

BATCH = {"content-type": "application/cloudevents-batch+json"}


def event(pk: str, number: int, *, device_key: str = "thermo1", **other: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/gateways/7",
        "type": "licet.usage.messages",
        "time": "2026-01-10T11:30:00Z",
        "subject": f"{pk}/{device_key}",
        "data": {"direction": "up", "bytes": 513},
    } | other


async def used(stage: Stage) -> int:
    data = stage.made(await stage.operator.get("/v1/usage/messages"))["data"]
    return int(data[0]["used"]) if data else 0


async def test_a_batch_is_counted_once(stage: Stage) -> None:
    """E1: 513 bytes are two messages; E3: a heartbeat is none."""
    pk, _ = await stage.sold()
    await stage.device(pk)
    batch = [
        event(pk, 1),
        event(pk, 2, data={"direction": "down", "messages": 40}),
        event(pk, 3, data={"direction": "up", "bytes": 20, "topic": "sys/heartbeat"}, region="eu", dataschema="x"),
        event(pk, 1),
    ]
    sent = json.dumps(batch)
    told = stage.made(await stage.collector.post("/v1/usage", content=sent, headers=BATCH))
    assert told == {"accepted": 3, "duplicates": 1, "quarantined": 0, "reasons": {}}
    for client in (stage.collector, stage.operator, stage.alice, stage.max):
        told = stage.made(await client.post("/v1/usage", content=sent, headers=BATCH))
        assert told == {"accepted": 0, "duplicates": 4, "quarantined": 0, "reasons": {}}
    one = json.dumps(event(pk, 4))
    single = {"content-type": "application/cloudevents+json"}
    assert stage.made(await stage.alice.post("/v1/usage", content=one, headers=single))["accepted"] == 1
    assert stage.made(await stage.alice.post("/v1/usage", json=[event(pk, 5)]))["accepted"] == 1
    assert stage.made(await stage.alice.post("/v1/usage", json=[]))["accepted"] == 0
    assert await used(stage) == 2 + 40 + 0 + 2 + 2
    stage.refused(await stage.bob.post("/v1/usage", json=[event(pk, 6)]), 403, "not_permitted")
    stage.refused(await stage.gateway.post("/v1/usage", json=[event(pk, 6)]), 403, "not_permitted")
    stage.refused(await stage.collector.get("/v1/usage/messages"), 403, "not_permitted")


async def test_the_answer_under_a_key_is_the_same_again(stage: Stage) -> None:
    pk, _ = await stage.sold()
    await stage.device(pk)
    key = {"idempotency-key": "batch 1".replace(" ", "-")}
    first = stage.made(await stage.collector.post("/v1/usage", json=[event(pk, 1)], headers=key))
    assert first["accepted"] == 1
    assert stage.made(await stage.collector.post("/v1/usage", json=[event(pk, 1)], headers=key)) == first


async def test_what_cannot_be_counted_is_seen(stage: Stage) -> None:
    pk, _ = await stage.sold()
    await stage.device(pk)
    odd = event(pk, 1, type="licet.usage.coffee", data={"cups\0": ["\0", "\\u0000"], "much": 10**300})
    strange = event(pk, 2, device_key="nobody01")
    future = event(pk, 3, time="2026-01-11T12:00:01Z")
    no_name = event(pk, 4, subject="thermo1")
    batch = [odd, strange, future, no_name, event(pk, 5)]
    told = stage.made(await stage.collector.post("/v1/usage", json=batch))
    reasons = {"unknown_kind": 1, "unknown_device": 2, "in_the_future": 1}
    assert told == {"accepted": 1, "duplicates": 0, "quarantined": 4, "reasons": reasons}
    assert stage.made(await stage.collector.post("/v1/usage", json=batch))["duplicates"] == 5
    page = stage.made(await stage.operator.get("/v1/quarantine", params={"limit": 3}))
    rest = stage.made(await stage.operator.get("/v1/quarantine", params={"cursor": page["next_cursor"]}))
    kept = page["data"] + rest["data"]
    assert [each["reported"]["id"] for each in kept] == ["e4", "e3", "e2", "e1"]
    assert kept[2]["reported"] == strange
    assert kept[2] | {"id": 0, "reported": {}} == {
        "id": 0,
        "at": "2026-01-10T12:00:00Z",
        "source": "/gateways/7",
        "reason": "unknown_device",
        "reported": {},
    }
    assert rest["next_cursor"] is None
    stage.refused(await stage.alice.get("/v1/quarantine"), 403, "not_permitted")
    assert "licet_quarantine 4.0" in (await stage.nobody.get("/metrics")).text


async def test_a_batch_that_is_wrong_is_told_so_and_nothing_is_written(stage: Stage) -> None:
    pk, _ = await stage.sold()
    await stage.device(pk)
    batch: list[Any] = [
        event(pk, 1),
        7,
        {"type": "licet.usage.messages"},
        event(pk, 2, id="", source=5, time="yesterday", specversion="0.3", data={"direction": "sideways"}),
        event(pk, 3, data={"direction": "up"}),
        event(pk, 4, data={"direction": "up", "bytes": 1, "messages": 1}),
        event(pk, 5, data={"direction": "up", "messages": 100_001, "topic": 1}),
        event(pk, 6, time="2026-01-10T11:30:00", subject="x" * 256, data=None),
        event(pk, 7, type=[], source="a\0b"),
    ]
    problem = stage.refused(await stage.collector.post("/v1/usage", json=batch), 422, "malformed")
    assert {each["field"] for each in problem["errors"]} == {
        "1",
        *(f"2.{name}" for name in ("id", "source", "time", "subject", "data")),
        *(f"3.{name}" for name in ("id", "source", "time", "specversion", "data.direction")),
        "4.data",
        "5.data",
        "6.data.messages",
        "6.data.topic",
        *(f"7.{name}" for name in ("time", "subject", "data")),
        "8.type",
        "8.source",
    }
    assert all(each["sentence"].endswith(".") for each in problem["errors"])
    alone = await stage.collector.post("/v1/usage", json=event(pk, 1, time=0))
    assert [each["field"] for each in stage.refused(alone, 422, "malformed")["errors"]] == ["time"]
    deep = json.dumps(event(pk, 1)).replace('"up"', '"up", "x": ' + "[" * 3000 + "]" * 3000)
    for body in ("", "null", "{", '"e1"', "[1e400]", '[{"id": "\\ud800"}]', deep):
        stage.refused(await stage.collector.post("/v1/usage", content=body), 422, "malformed")
    many = [event(pk, number) for number in range(10_001)]
    stage.refused(await stage.collector.post("/v1/usage", json=many), 422, "malformed")
    assert await used(stage) == 0
    assert stage.made(await stage.collector.post("/v1/usage", json=many[:10_000]))["accepted"] == 10_000
    assert await used(stage) == 20_000


async def test_a_token_that_only_reports_is_given_by_those_who_may(stage: Stage) -> None:
    """§8: an account's own, or (by the operator) one for all accounts; it can do nothing else."""
    pk, _ = await stage.sold()
    await stage.device(pk)
    own = stage.made(await stage.alice.post("/v1/tokens", json={"name": "LoRa", "role": "ingest"}), 201)
    assert (own["account_id"], own["scopes"]) == (stage.acme, ["ingest"])
    async with stage.a_client(authorization=f"Bearer {own['token']}") as lora:
        assert stage.made(await lora.post("/v1/usage", json=[event(pk, 1)]))["accepted"] == 1
        stage.refused(await lora.get("/v1/products"), 403, "not_permitted")
    theirs = stage.made(await stage.mallory.post("/v1/tokens", json={"name": "LoRa", "role": "ingest"}), 201)
    async with stage.a_client(authorization=f"Bearer {theirs['token']}") as globex:
        told = stage.made(await globex.post("/v1/usage", json=[event(pk, 2)]))
        assert told == {"accepted": 0, "duplicates": 0, "quarantined": 1, "reasons": {"unknown_device": 1}}
    every = stage.made(await stage.operator.post("/v1/tokens", json={"name": "all", "role": "ingest"}), 201)
    assert every["account_id"] is None
    person = {"account_id": stage.acme, "email": "x@licet.test", "name": "X", "role": "ingest"}
    stage.refused(await stage.alice.post("/v1/people", json=person), 422, "malformed")
