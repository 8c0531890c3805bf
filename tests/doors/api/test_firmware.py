"""Firmware is uploaded, and fetched by devices, with the bytes counted as they are sent (F1 to F3)."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from doors.api.stage import Stage
from doors.api.upgrading import FIRMWARE, HASH, MB, a_device, blocks, upgrade_of, uploaded
from doors.eventually import eventually

from licet.sweep import sweep
from licet.web.sending import PIECE_BYTES


async def test_a_device_fetches_its_firmware_and_is_charged_once(stage: Stage, pk: str) -> None:
    """F1, F3: the bytes are counted, and it is complete when the last one was sent."""
    made = await uploaded(stage)
    assert (made["bytes"], made["sha256"], made["uploaded_by"]) == (6 * MB, HASH, "max's program")
    got = await stage.thermo1.get(f"/v1/firmware/{made['id']}/file")
    assert got.status_code == 200
    assert got.content == FIRMWARE
    assert got.headers["content-length"] == str(6 * MB)
    assert (got.headers["accept-ranges"], got.headers["etag"]) == ("bytes", f'"{HASH}"')
    latest = await upgrade_of(stage)
    assert (latest["state"], latest["sent"], latest["bytes"]) == ("completed", 6 * MB, 6 * MB)
    assert (latest["covered"], latest["excess"], latest["firmware_id"]) == (1, 1, made["id"])


async def test_a_transfer_that_broke_off_goes_on_by_range(stage: Stage, pk: str) -> None:
    """F3: it stays reserved, costs once, and completes with its last byte."""
    at = f"/v1/firmware/{(await uploaded(stage))['id']}/file"
    first = await stage.thermo1.get(at, headers={"range": f"bytes=0-{MB - 1}"})
    assert (first.status_code, first.headers["content-range"]) == (206, f"bytes 0-{MB - 1}/{6 * MB}")
    assert first.content == FIRMWARE[:MB]
    broken = await upgrade_of(stage)
    assert (broken["state"], broken["sent"], broken["attempts"]) == ("reserved", MB, 2)
    stage.clock.move(hours=23)
    assert (await sweep(stage.books, now=stage.clock())).released == 0
    second = await stage.thermo1.get(at, headers={"range": f"bytes={MB}-", "if-range": f'"{HASH}"'})
    assert first.content + second.content == FIRMWARE
    done = await upgrade_of(stage)
    assert (done["id"], done["state"], done["sent"]) == (broken["id"], "completed", 6 * MB)
    tail = await stage.thermo1.get(at, headers={"range": "bytes=-1000"})
    assert tail.content == FIRMWARE[-1000:]
    assert (await upgrade_of(stage))["id"] == done["id"], "a part that got lost is sent again at no cost"
    stage.clock.move(hours=24)
    await stage.thermo1.get(at, headers={"range": "bytes=-1000"})
    assert (await upgrade_of(stage))["id"] != done["id"], "that is another upgrade"


async def test_what_nobody_goes_on_with_is_released(stage: Stage, pk: str) -> None:
    """F3: after 24 hours; a device that comes back then begins anew."""
    at = f"/v1/firmware/{(await uploaded(stage))['id']}/file"
    await stage.thermo1.get(at, headers={"range": "bytes=0-99"})
    stage.clock.move(hours=24)
    assert (await sweep(stage.books, now=stage.clock())).released == 1
    failed = await upgrade_of(stage)
    assert (failed["state"], failed["covered"], failed["excess"], failed["sent"]) == ("failed", 0, 0, 100)
    await stage.thermo1.get(at, headers={"range": "bytes=100-"})
    assert (await upgrade_of(stage))["state"] == "completed"


@pytest.mark.parametrize(
    ("asked", "status", "told", "content"),
    [
        ("bytes=0-0", 206, "bytes 0-0/1000", FIRMWARE[:1]),
        ("bytes=10-12", 206, "bytes 10-12/1000", FIRMWARE[10:13]),
        ("bytes=998-5000", 206, "bytes 998-999/1000", FIRMWARE[998:1000]),
        ("bytes=-2", 206, "bytes 998-999/1000", FIRMWARE[998:1000]),
        ("bytes=-5000", 206, "bytes 0-999/1000", None),
        ("bytes=1000-", 416, "bytes */1000", None),
        ("bytes=-0", 416, "bytes */1000", None),
        ("bytes=5-4", 200, None, None),
        ("bytes=0-1,5-6", 200, None, None),
        ("lines=1-2", 200, None, None),
        ("bytes=-", 200, None, None),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_ranges(stage: Stage, pk: str, asked: str, status: int, told: str | None, content: bytes | None) -> None:
    """RFC 9110: one range, or all of it; behind the end there is nothing, and nothing is reserved for it."""
    file = FIRMWARE[:1000]
    at = f"/v1/firmware/{(await uploaded(stage, file))['id']}/file"
    got = await stage.thermo1.get(at, headers={"range": asked})
    assert (got.status_code, got.headers.get("content-range")) == (status, told)
    if status == 416:
        stage.refused(got, 416, "no_such_range")
        assert stage.made(await stage.max.get("/v1/ota"))["data"] == []
    else:
        assert got.content == (file if content is None else content)


async def test_how_large_it_is_costs_nothing(stage: Stage, pk: str) -> None:
    at = f"/v1/firmware/{(await uploaded(stage))['id']}/file"
    seen = await stage.thermo1.head(at)
    assert (seen.status_code, seen.headers["content-length"], seen.content) == (200, str(6 * MB), b"")
    assert (await stage.nobody.head(at)).status_code == 401
    assert stage.made(await stage.max.get("/v1/ota"))["data"] == []


async def test_a_file_that_is_gone_is_a_fault_and_costs_nothing(
    stage: Stage, pk: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a backup that was restored without its folder."""
    made = await uploaded(stage, b"x")
    (tmp_path / "firmware" / made["sha256"]).unlink()
    answer = await stage.thermo1.get(f"/v1/firmware/{made['id']}/file")
    stage.refused(answer, 500, "fault")
    assert "FileNotFoundError" in caplog.text
    assert stage.made(await stage.max.get("/v1/ota"))["data"] == []
    await uploaded(stage, b"x")
    assert (await stage.thermo1.get(f"/v1/firmware/{made['id']}/file")).content == b"x"


async def test_another_file_than_the_one_begun_is_sent_whole(stage: Stage, pk: str) -> None:
    at = f"/v1/firmware/{(await uploaded(stage, FIRMWARE[:1000]))['id']}/file"
    got = await stage.thermo1.get(at, headers={"range": "bytes=10-", "if-range": '"of another"'})
    assert (got.status_code, got.content) == (200, FIRMWARE[:1000])


async def test_hung_up_in_the_middle_it_stays_reserved(stage: Stage, pk: str) -> None:
    """F3: what was sent until then is counted, and the rest is fetched at no more cost."""
    made = await uploaded(stage)
    at = f"/v1/firmware/{made['id']}/file"
    received = await hang_up_after(stage, at, 3)
    broken = await upgrade_of(stage)
    assert broken["state"] == "reserved"
    assert 2 * PIECE_BYTES <= broken["sent"] <= len(received)
    rest = await stage.thermo1.get(at, headers={"range": f"bytes={len(received)}-"})
    assert received + rest.content == FIRMWARE
    done = await upgrade_of(stage)
    assert (done["id"], done["state"], done["excess"]) == (broken["id"], "completed", 1)


async def hang_up_after(stage: Stage, at: str, pieces: int) -> bytes:
    """Ask the app as a server does, for a device that is gone after so many pieces."""
    received, gone, asked = bytearray(), asyncio.Event(), False
    shown = stage.thermo1.headers["authorization"].encode()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": at,
        "raw_path": at.encode(),
        "query_string": b"",
        "headers": [(b"host", b"licet.test"), (b"authorization", shown)],
        "client": ("192.0.2.7", 50000),
        "server": ("licet.test", 80),
    }

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        received.extend(message.get("body", b""))
        if len(received) >= pieces * PIECE_BYTES:
            gone.set()
            await asyncio.sleep(0)
            await asyncio.Event().wait()  # what is sent now goes nowhere

    await stage.app(scope, receive, send)
    return bytes(received)


async def test_a_real_server_and_a_device_that_hangs_up(stage: Stage, pk: str) -> None:
    """F3: over TCP; the device reads a little, is gone, comes back, and gets the rest."""
    made = await uploaded(stage)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(stage.app, log_config=None, lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/firmware/{made['id']}/file"
    try:
        async with httpx.AsyncClient(headers=stage.thermo1.headers) as device:
            received = bytearray()
            async with device.stream("GET", url) as answer:
                async for piece in answer.aiter_bytes():
                    received += piece
                    if len(received) > 100_000:
                        break
            broken = await eventually(lambda: upgrade_of(stage), lambda upgrade: upgrade["sent"] > 0)
            assert broken["state"] == "reserved"
            assert broken["sent"] < 6 * MB
            rest = await device.get(url, headers={"range": f"bytes={len(received)}-"})
        assert bytes(received) + rest.content == FIRMWARE
        assert (await upgrade_of(stage))["state"] == "completed", "who has the whole file was charged"
    finally:
        server.should_exit = True
        await serving


async def test_in_block_mode_a_fetch_is_refused_before_its_first_byte(stage: Stage, pk: str) -> None:
    """F2: 6 MB with 1 attempt left; two fetches of 1 MB at once are one upgrade."""
    await blocks(stage)
    large, small = await uploaded(stage), await uploaded(stage, FIRMWARE[:MB])
    refused = await stage.thermo1.get(f"/v1/firmware/{large['id']}/file")
    stage.refused(refused, 403, "ota_used_up")
    at = f"/v1/firmware/{small['id']}/file"
    halves = await asyncio.gather(
        stage.thermo1.get(at, headers={"range": "bytes=0-524287"}),
        stage.thermo1.get(at, headers={"range": "bytes=524288-"}),
    )
    assert b"".join(half.content for half in halves) == FIRMWARE[:MB]
    listed = stage.made(await stage.bob.get("/v1/ota"))["data"]
    assert [(each["state"], each["sent"], each["covered"]) for each in listed] == [("completed", MB, 1)]


async def test_only_the_active_devices_of_its_account_fetch_it(stage: Stage, pk: str) -> None:
    """C2: as at the broker's door, no code is consumed for it."""
    at = f"/v1/firmware/{(await uploaded(stage, b'x'))['id']}/file"
    idle = a_device(stage, pk, "thermo9", await stage.device(pk, "thermo9"))
    stage.refused(await idle.get(at), 403, "device_inactive")
    for client in (
        a_device(stage, pk, "thermo1", "another secret".replace(" ", "")),
        a_device(stage, pk, "nobody1", "another-secret"),
        a_device(stage, "Z" * 11, "thermo1", "another-secret"),
        stage.nobody,
        stage.alice,
    ):
        answer = await client.get(at)
        stage.refused(answer, 401, "not_authorized")
        assert answer.headers["www-authenticate"].startswith("Basic ")
    stage.refused(await stage.thermo1.get("/v1/firmware/fmw_" + "0" * 20 + "/file"), 404, "not_found")
    globex = await stage.operator.post("/v1/firmware", params={"name": "G", "account_id": stage.globex}, content=b"g")
    other = stage.made(globex, 201)["id"]
    stage.refused(await stage.thermo1.get(f"/v1/firmware/{other}/file"), 404, "not_found")
    stage.clock.move(days=366)
    assert (await stage.thermo1.get(at)).status_code == 200, "a renewal that is due comes first"
    codes = stage.made(await stage.bob.get(f"/v1/products/{pk}"))["codes"]
    assert codes["consumed"] == 4


async def test_secrets_are_not_guessed(stage: Stage, pk: str) -> None:
    """A device that is right does not wait for a neighbour that is not."""
    at = f"/v1/firmware/{(await uploaded(stage, b'x'))['id']}/file"
    guess = a_device(stage, pk, "thermo2", "guess-work")
    answers = [(await guess.get(at)).status_code for _ in range(25)]
    assert answers == [401] * 20 + [429] * 5
    assert (await stage.thermo1.get(at)).status_code == 200
    stage.refused(await stage.thermo2.get(at), 429, "too_many_tries")
    stage.clock.move(minutes=1)
    assert (await stage.thermo2.get(at)).status_code == 200


async def test_files_lie_once_under_their_hash_and_for_nobody_else(stage: Stage, pk: str) -> None:
    """Uploaded twice it is two firmwares and one file; it goes with the last of them."""
    folder = stage.app.state.door.shelf._folder
    one, two = await uploaded(stage), await uploaded(stage)
    assert one["id"] != two["id"]
    assert _files(folder) == [(HASH, 0o600)]
    assert folder.stat().st_mode & 0o777 == 0o700
    listed = stage.made(await stage.bob.get("/v1/firmware"))["data"]
    assert {each["id"] for each in listed} == {one["id"], two["id"]}
    assert stage.made(await stage.mallory.get("/v1/firmware"))["data"] == []
    stage.refused(await stage.mallory.delete(f"/v1/firmware/{one['id']}"), 404, "not_found")
    for made, left in ((one, [(HASH, 0o600)]), (two, [])):
        assert (await stage.max.delete(f"/v1/firmware/{made['id']}")).status_code == 204
        assert _files(folder) == left
    stage.refused(await stage.max.delete(f"/v1/firmware/{one['id']}"), 404, "not_found")


async def test_an_upload_is_bounded_and_leaves_nothing_behind(stage: Stage) -> None:
    folder: Path = stage.app.state.door.shelf._folder

    async def endless(mib: int) -> Any:
        for _ in range(mib):
            yield bytes(MB)

    for content in (endless(25), bytes(24 * MB + 1)):
        answer = await stage.max.post("/v1/firmware", params={"name": "X"}, content=content)
        stage.refused(answer, 413, "body_too_large")
    assert (await stage.max.post("/v1/firmware", params={"name": "X"}, content=b"")).status_code == 422
    assert (await stage.max.post("/v1/firmware", content=b"x")).status_code == 422
    assert (await stage.operator.post("/v1/firmware", params={"name": "X"}, content=b"x")).status_code == 422
    stage.refused(await stage.bob.post("/v1/firmware", params={"name": "X"}, content=b"x"), 403, "not_permitted")
    assert _files(folder) == []
    made = stage.made(await stage.max.post("/v1/firmware", params={"name": "X"}, content=endless(24)), 201)
    assert made["bytes"] == 24 * MB


async def test_an_upload_that_is_sent_twice_is_one(stage: Stage) -> None:
    headers = {"idempotency-key": "one"}
    sent = [
        await stage.max.post("/v1/firmware", params={"name": "X"}, content=content, headers=headers)
        for content in (b"x", b"x", b"y")
    ]
    assert sent[0].text == sent[1].text
    assert sent[1].headers["idempotency-replayed"] == "true"
    stage.refused(sent[2], 409, "idempotency_key_reused")
    assert len(stage.made(await stage.max.get("/v1/firmware"))["data"]) == 1


def _files(folder: Path) -> list[tuple[str, int]]:
    """The names and modes of what lies there."""
    return [(path.name, path.stat().st_mode & 0o777) for path in folder.iterdir()] if folder.exists() else []
