"""A future is lived through: messages are counted, shown and kept by the time that it is for licet (`up --now`)."""

import asyncio
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from doors.commands.terminal import Terminal
from doors.eventually import eventually
from doors.mqtt import knock
from doors.running import PATIENCE, Api, Up, operator
from doors.shop import Shop, open_shop

DAY = "2027-03-05"
MESSAGES = 3


async def test_messages_live_in_the_time_that_licet_was_told(up: Callable[..., Up]) -> None:
    one = up(processes="2")
    said = one.start("--now", f"{DAY}T10:00:00Z")
    async with operator(said) as api:
        shop = await open_shop(said, api, codes=1, devices=1)
        before = datetime.now(UTC)
        device = (await knock(said, shop.names("dev0000"))).device
        assert device is not None
        for qos in (0, 1, 1):
            await device.publish(f"up/{shop.product_key}/dev0000/t", b"21", qos)
        await eventually(lambda: _used(shop, api), lambda used: used == MESSAGES, within=PATIENCE)
        assert await _used(shop, api, f"{before:%Y-%m-%d}") == 0
        data = await _data(shop, api)
        assert [f"{DAY}T10:" in each["at"] for each in data] == [True] * MESSAGES
        await device.close()
    assert _shifts(said) == 1, "both processes live in the same time"
    assert one.end(signal.SIGTERM)[0] == 0

    said = one.start("--now", "2027-03-11T10:00:00Z")
    async with operator(said) as api:
        assert await _data(shop, api) == data
        assert (await api.ask("GET", _path(shop), params={"to": data[0]["at"]}))["data"] == []
        assert [each["at"] for each in await api.all(_path(shop), **{"from": data[1]["at"]})] == [
            each["at"] for each in data[1:]
        ]
    typed = await asyncio.to_thread(Terminal(one.data), "reconcile", DAY)
    assert typed.out.startswith(f"no difference: {MESSAGES} messages of 1 devices"), typed.out + typed.err
    assert one.end(signal.SIGTERM)[0] == 0

    said = one.start("--now", "2027-03-13T10:00:00Z")
    async with operator(said) as api:
        assert await _data(shop, api) == []
        assert await _used(shop, api) == MESSAGES
    assert _shifts(said) == 3


def _path(shop: Shop) -> str:
    return f"/v1/devices/{shop.product_key}/dev0000/data"


async def _data(shop: Shop, api: Api) -> list[dict[str, Any]]:
    return await api.all(_path(shop))


async def _used(shop: Shop, api: Api, on: str = DAY) -> int:
    asked = {"from": on, "to": on, "account_id": shop.account_id}
    told = await api.ask("GET", "/v1/usage/messages", params=asked)
    return sum(each["used"] for each in told["data"])


def _shifts(said: dict[str, Any]) -> int:
    with psycopg.connect(said["database_url"]) as books:
        return len(books.execute("select since_at from clock_shifts").fetchall())
