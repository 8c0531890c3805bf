"""Upgrades over the API: as an integration reports them, and campaigns (F1 to F3)."""

import asyncio
import hashlib

from doors.api.stage import Stage
from doors.api.upgrading import FIRMWARE, MB, begun, blocks, uploaded


async def test_an_integration_reserves_and_completes(stage: Stage, pk: str) -> None:
    """F1 to F3: 6 MB with 1 allowed is 1 covered and 1 excess."""
    reserved = await begun(stage, pk, 6 * MB)
    assert (reserved["state"], reserved["attempts"], reserved["allowance"]) == ("reserved", 2, 1)
    assert (reserved["covered"], reserved["excess"]) == (1, 1)
    at = f"/v1/ota/{reserved['id']}"
    done = stage.made(await stage.max.patch(at, json={"state": "completed", "bytes": 6 * MB}))
    assert (done["state"], done["covered"], done["excess"]) == ("completed", 1, 1)
    assert stage.made(await stage.max.patch(at, json={"state": "completed", "bytes": 6 * MB})) == done
    assert stage.made(await stage.bob.get(at)) == done
    stage.refused(await stage.max.patch(at, json={"state": "failed", "bytes": 0}), 409, "ota_ended")
    stage.refused(await stage.mallory.patch(at, json={"state": "completed", "bytes": 1}), 404, "not_found")
    stage.refused(await stage.mallory.get(at), 404, "not_found")
    stage.refused(await stage.bob.patch(at, json={"state": "failed"}), 403, "not_permitted")
    assert (await stage.max.patch(at, json={"state": "completed"})).status_code == 422
    assert (await stage.max.patch(at, json={"state": "reserved", "bytes": 1})).status_code == 422


async def test_a_report_that_is_sent_twice_is_reserved_once(stage: Stage, pk: str) -> None:
    asked = {"product_key": pk, "device_key": "thermo1", "bytes": 1}
    sent = [await stage.max.post("/v1/ota", json=asked, headers={"idempotency-key": "one"}) for _ in range(3)]
    assert len({answer.text for answer in sent}) == 1
    listed = stage.made(await stage.max.get("/v1/ota", params={"product_key": pk}))
    assert len(listed["data"]) == 1


async def test_in_block_mode_what_is_not_covered_is_refused(stage: Stage, pk: str) -> None:
    """F2."""
    await blocks(stage)
    asked = {"product_key": pk, "device_key": "thermo1", "bytes": MB}
    answers = await asyncio.gather(*(stage.max.post("/v1/ota", json=asked) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [201, 403]
    problem = stage.refused(next(each for each in answers if each.status_code == 403), 403, "ota_used_up")
    assert problem["facts"] == {"attempts": 1, "device_key": "thermo1", "left": 0}
    await begun(stage, pk, MB, device_key="thermo2")


async def test_a_list_is_filtered_and_paged(stage: Stage, pk: str) -> None:
    ids = []
    for number in range(5):
        ids.append((await begun(stage, pk, number, device_key=f"thermo{1 + number % 2}"))["id"])
        stage.clock.move(seconds=1)
    await stage.max.patch(f"/v1/ota/{ids[0]}", json={"state": "failed"})
    first = stage.made(await stage.bob.get("/v1/ota", params={"limit": 3}))
    rest = stage.made(await stage.bob.get("/v1/ota", params={"limit": 3, "cursor": first["next_cursor"]}))
    assert [each["id"] for each in first["data"] + rest["data"]] == ids[::-1]
    assert rest["next_cursor"] is None
    params = {"product_key": pk, "device_key": "thermo1", "state": "reserved"}
    found = stage.made(await stage.bob.get("/v1/ota", params=params))
    assert [each["id"] for each in found["data"]] == [ids[4], ids[2]]
    assert stage.made(await stage.mallory.get("/v1/ota"))["data"] == []


async def test_a_campaign_is_offered_fetched_and_stopped(stage: Stage, pk: str) -> None:
    """Progress counts each device; the stop button withdraws what is only offered, and nothing else."""
    made = await uploaded(stage, FIRMWARE[:MB])
    await stage.device(pk, "thermo3")
    asked = {"product_key": pk, "firmware_id": made["id"], "all": True}
    started = stage.made(await stage.max.post("/v1/ota/campaigns", json=asked), 201)
    assert started["progress"] == {"offered": 3, "reserved": 0, "completed": 0, "failed": 0, "withdrawn": 0}
    stage.refused(await stage.max.delete(f"/v1/firmware/{made['id']}"), 409, "firmware_in_use")
    offer = stage.made(await stage.thermo1.get("/v1/firmware/offer"))
    assert offer["url"] == f"http://licet.test/v1/firmware/{made['id']}/file"
    assert (offer["bytes"], offer["sha256"]) == (MB, hashlib.sha256(FIRMWARE[:MB]).hexdigest())
    assert (await stage.thermo1.get(offer["url"])).content == FIRMWARE[:MB]
    stage.refused(await stage.thermo1.get("/v1/firmware/offer"), 404, "not_found")
    await stage.thermo2.get(offer["url"], headers={"range": "bytes=0-9"})
    at = f"/v1/ota/campaigns/{started['id']}"
    progress = stage.made(await stage.bob.get(at))["progress"]
    assert progress == {"offered": 1, "reserved": 1, "completed": 1, "failed": 0, "withdrawn": 0}
    for _ in range(2):
        stopped = stage.made(await stage.max.post(f"{at}/stop"))
        assert stopped["progress"] == {"offered": 0, "reserved": 1, "completed": 1, "failed": 0, "withdrawn": 1}
    assert (await stage.thermo2.get(offer["url"], headers={"range": "bytes=10-"})).status_code == 206
    assert stage.made(await stage.bob.get(at))["progress"]["completed"] == 2
    listed = stage.made(await stage.bob.get("/v1/ota/campaigns", params={"product_key": pk}))["data"]
    assert [each["id"] for each in listed] == [started["id"]]
    of_it = stage.made(await stage.bob.get("/v1/ota", params={"campaign_id": started["id"]}))["data"]
    assert {each["state"] for each in of_it} == {"completed", "withdrawn"}


async def test_what_was_withdrawn_is_not_fetched(stage: Stage, pk: str) -> None:
    made = await uploaded(stage, b"x")
    asked = {"product_key": pk, "firmware_id": made["id"], "device_keys": ["thermo1"]}
    started = stage.made(await stage.max.post("/v1/ota/campaigns", json=asked), 201)
    await stage.max.post(f"/v1/ota/campaigns/{started['id']}/stop")
    at = f"/v1/firmware/{made['id']}/file"
    stage.refused(await stage.thermo1.get(at), 409, "ota_ended")
    stage.clock.move(seconds=1)
    stage.made(await stage.max.post("/v1/ota/campaigns", json=asked), 201)
    assert (await stage.thermo1.get(at)).content == b"x"


async def test_an_integration_takes_up_what_a_campaign_offered(stage: Stage, pk: str) -> None:
    made = await uploaded(stage, b"x")
    asked = {"product_key": pk, "firmware_id": made["id"], "device_keys": ["thermo1"]}
    started = stage.made(await stage.max.post("/v1/ota/campaigns", json=asked), 201)
    taken = await begun(stage, pk, 6 * MB, firmware_id=made["id"])
    assert (taken["campaign_id"], taken["attempts"], taken["bytes"]) == (started["id"], 2, 6 * MB)
    stage.made(await stage.max.patch(f"/v1/ota/{taken['id']}", json={"state": "failed"}))
    assert stage.made(await stage.bob.get(f"/v1/ota/campaigns/{started['id']}"))["progress"]["failed"] == 1


async def test_a_campaign_is_for_devices_that_are_there(stage: Stage, pk: str) -> None:
    made = await uploaded(stage, b"x")
    asked = {"product_key": pk, "firmware_id": made["id"]}
    for more in ({"device_keys": ["nobody1"]}, {"device_keys": ["thermo1", "nobody1"]}):
        stage.refused(await stage.max.post("/v1/ota/campaigns", json=asked | more), 404, "not_found")
    for more in ({}, {"device_keys": ["thermo1"], "all": True}, {"device_keys": []}):
        assert (await stage.max.post("/v1/ota/campaigns", json=asked | more)).status_code == 422
    stage.refused(await stage.mallory.post("/v1/ota/campaigns", json=asked | {"all": True}), 404, "not_found")
    assert stage.made(await stage.bob.get("/v1/ota/campaigns"))["data"] == []
    assert stage.made(await stage.bob.get("/v1/ota"))["data"] == []


async def test_usage_of_ota_is_read_by_day_and_month(stage: Stage, pk: str) -> None:
    """F2: in total, by product and by device it is the same; failed ones are not in it."""
    for size, device_key in ((6 * MB, "thermo1"), (MB, "thermo2"), (MB, "thermo2")):
        upgrade = await begun(stage, pk, size, device_key=device_key)
        stage.made(await stage.max.patch(f"/v1/ota/{upgrade['id']}", json={"state": "completed", "bytes": size}))
        stage.clock.move(days=1)
    failed = await begun(stage, pk, MB)
    await stage.max.patch(f"/v1/ota/{failed['id']}", json={"state": "failed"})
    sums = {}
    for by in ("day", "month"):
        for whose in ("total", "product", "device"):
            params = {"by": by, "whose": whose, "from": "2026-01-01", "to": "2026-01-31", "limit": 1}
            used, covered, excess, carried = 0, 0, 0, 0
            while True:
                listed = stage.made(await stage.bob.get("/v1/usage/ota", params=params))
                for each in listed["data"]:
                    used, covered = used + each["used"], covered + each["covered"]
                    excess, carried = excess + each["excess"], carried + each["bytes"]
                if listed["next_cursor"] is None:
                    break
                params["cursor"] = listed["next_cursor"]
            sums[by, whose] = (used, covered, excess, carried)
    assert set(sums.values()) == {(4, 2, 2, 8 * MB)}
    of_one = await stage.bob.get(f"/v1/devices/{pk}/thermo2/usage", params={"kind": "ota", "by": "month"})
    (month,) = stage.made(of_one)["data"]
    assert (month["on"], month["used"], month["covered"], month["allowance"]) == ("2026-01-01", 2, 1, 1)
