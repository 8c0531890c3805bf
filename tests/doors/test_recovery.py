"""The end of an `up` in the midst of life: what was acknowledged is found again, and nobody is left behind."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from doors.broker.devices import until
from doors.crowd import Crowd
from doors.mqtt import LET_IN, REFUSED, codes, storm
from doors.running import PATIENCE, Up, answers, operator, pids
from doors.shop import Shop, open_shop

from licet.run.child import is_alive


def left_of(data: Path) -> list[str]:
    """Every process that has to do with a data folder, by its command line, its place, or its surroundings."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process.name != str(os.getpid()) and is_alive(int(process.name)):
            try:
                words = (process / "cmdline").read_bytes() + b"\0" + (process / "environ").read_bytes()
                place = (process / "cwd").readlink()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if str(data).encode() in words or place.is_relative_to(data):
                found.append(f"{process.name} {words[:200]!r}")
    return found


async def test_after_kill_9_of_the_supervisor_all_end_and_the_next_finds_everything(up: Callable[..., Up]) -> None:
    one = up(processes="2")
    said = one.start()
    async with operator(said) as api:
        shop = await open_shop(said, api, codes=60, devices=100)
        crowd = Crowd(said, shop.everybody, seed=1)
        async with crowd.alive():
            await until(lambda: len(crowd.let_in) > 20, within=PATIENCE)
            await shop.credit(5, "order 2")
            one.end(signal.SIGKILL)
    await until(lambda: not any(map(is_alive, pids(said))), within=PATIENCE)
    await until(lambda: not left_of(one.data), within=PATIENCE)

    again = one.start()
    assert again["token"] == said["token"]
    async with operator(again) as api:
        shop.said, shop.api = again, api
        before = {device_key for device_key, _ in shop.spans()}
        assert crowd.let_in <= before
        assert await shop.codes() == {"total": 65, "available": 65 - len(before), "consumed": len(before)}
        async with storm(again, [shop.names(device_key) for device_key in before]) as knocked:
            assert codes(knocked) == {LET_IN: len(before)}
        await _the_rest_comes_in(shop, 65)


async def test_a_stop_in_the_midst_of_life_leaves_nothing(up: Callable[..., Up]) -> None:
    """Devices are connected and knock, a browser keeps its connection, an answer is under way."""
    one = up(processes="2")
    said = one.start()
    async with operator(said) as api, httpx.AsyncClient(base_url=said["url"]) as browser:
        shop = await open_shop(said, api, codes=200, devices=100)
        assert (await browser.get("/healthz")).status_code == 200
        crowd = Crowd(said, shop.everybody, seed=1)
        async with crowd.alive():
            await until(lambda: len(crowd.let_in) > 20, within=PATIENCE)
            began = time.monotonic()
            status, output = await asyncio.to_thread(one.end, signal.SIGTERM)
            took = time.monotonic() - began
    assert (status, "Traceback" in output) == (0, False)
    assert took < 30, took
    assert left_of(one.data) == []
    assert not (one.data / "run.json").exists()
    assert not (one.data / "postgres" / "data" / "postmaster.pid").exists()
    for log in one.data.glob("licet-*.log"):
        assert "Traceback" not in log.read_text()


async def test_two_side_by_side_know_nothing_of_each_other(up: Callable[..., Up]) -> None:
    first, second = up("first"), up("second")
    here, there = first.start(), second.start()
    async with operator(here) as api:
        shop = await open_shop(here, api, codes=2, devices=2)
        async with storm(here, shop.everybody) as seated:
            assert codes(seated) == {LET_IN: 2}
            async with storm(there, shop.everybody) as knocked:
                assert codes(knocked) == {REFUSED: 2}
            assert await _status(there, here["token"]) == 401
            assert await _status(there, there["token"]) == 200
            second.end(signal.SIGKILL)
            await until(lambda: not any(map(is_alive, pids(there))), within=PATIENCE)
            for each in seated:
                assert each.device is not None
                await each.device.ping()
            assert answers(here, "/readyz")
        async with storm(here, shop.everybody) as knocked:
            assert codes(knocked) == {LET_IN: 2}


async def _status(said: dict[str, Any], token: str) -> int:
    async with httpx.AsyncClient(base_url=said["url"], timeout=60) as client:
        return (await client.get("/v1/accounts", headers={"authorization": f"Bearer {token}"})).status_code


async def _the_rest_comes_in(shop: Shop, number: int) -> None:
    """As many as there are codes for, whoever they are."""
    async with storm(shop.said, shop.everybody) as knocked:
        assert codes(knocked) == {LET_IN: number, REFUSED: len(shop.secrets) - number}
    spans = shop.spans()
    assert [number for _, number in spans] == list(range(1, number + 1))
    assert {device_key for device_key, _ in spans} == {each.names.device_key for each in knocked if each.let_in}
