"""Who is no longer permitted is put out within seconds, and what it knew before opens nothing any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from doors.broker.devices import Device, until
from doors.mqtt import LET_IN, REFUSED, Names, codes, knock, storm
from doors.running import Api
from doors.shop import Shop, open_shop

from licet.broker.server import PATIENCE_SECONDS

# Looked for twice a second, and asked of the server itself; a busy machine is slower.
SECONDS = 10.0


@asynccontextmanager
async def connected(shop: Shop) -> AsyncIterator[dict[str, Device]]:
    """All devices of the shop, live."""
    async with storm(shop.said, shop.everybody) as knocked:
        assert codes(knocked) == {LET_IN: len(shop.secrets)}
        yield {each.names.device_key: each.device for each in knocked if each.device is not None}


@pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("POST", "/reset")])
async def test_c6_a_device_that_was_deleted_or_reset_is_put_out(
    said: dict[str, Any], api: Api, method: str, path: str
) -> None:
    shop = await open_shop(said, api, codes=5, devices=3)
    was = shop.names("dev0001")
    async with connected(shop) as live:
        told = await api.ask(
            method, f"/v1/devices/{shop.product_key}/dev0001{path}", 204 if method == "DELETE" else 200
        )
        await live["dev0001"].hung_up(within=SECONDS)
        for stranger in (was, *_guesses(was)):
            assert (await knock(said, stranger)).code == REFUSED
        await live["dev0000"].ping()
        await live["dev0002"].ping()
    if told is None:
        (again,) = (await api.ask("POST", f"/v1/products/{shop.product_key}/devices", 201, json=_alone("dev0001")))[
            "data"
        ]
        told = again
    # It kept its code: with its new secret it is let in, and pays nothing.
    shop.secrets["dev0001"] = told["device_secret"]
    async with connected(shop):
        assert await shop.codes() == {"total": 5, "available": 2, "consumed": 3}
    assert (await knock(said, was)).code == REFUSED


async def test_c6_with_a_product_all_of_its_devices_are_put_out(said: dict[str, Any], api: Api) -> None:
    shop = await open_shop(said, api, codes=40, devices=40)
    other = await open_shop(said, api, codes=5, devices=5)
    async with connected(shop) as live, connected(other) as staying:
        await api.ask("DELETE", f"/v1/products/{shop.product_key}", 204)
        await asyncio.gather(*(device.hung_up(within=SECONDS) for device in live.values()))
        async with storm(said, shop.everybody) as knocked:
            assert codes(knocked) == {REFUSED: 40}
        await asyncio.gather(*(device.ping() for device in staying.values()))


async def test_c6_a_device_that_knocks_all_the_while_is_out_for_good(said: dict[str, Any], api: Api) -> None:
    """It may be let in an instant before it is deleted, and be seated an instant after it was looked for."""
    shop = await open_shop(said, api, codes=30, devices=30)
    seated: set[str] = set()
    staying, over = asyncio.Event(), asyncio.Event()
    insisting = [asyncio.create_task(_insist(said, names, seated, staying, over)) for names in shop.everybody]
    await until(lambda: len(seated) > 10, within=30)
    staying.set()
    await asyncio.gather(
        *(api.ask("DELETE", f"/v1/devices/{shop.product_key}/{device_key}", 204) for device_key in shop.secrets)
    )
    # Those who were let in just before are looked for once more, when no such knock can be waiting any more.
    await asyncio.sleep(PATIENCE_SECONDS + 2)
    assert not seated
    over.set()
    await asyncio.gather(*insisting)


async def _insist(
    said: dict[str, Any], names: Names, seated: set[str], staying: asyncio.Event, over: asyncio.Event
) -> None:
    """Come and go, so that somebody is at the door at any instant; later on, stay as long as one may."""
    while not over.is_set():
        knocked = await knock(said, names)
        if knocked.device is not None:
            seated.add(names.device_key)
            await (knocked.device.hung_up(within=120) if staying.is_set() else asyncio.sleep(0.02))
            await knocked.device.close()
            seated.discard(names.device_key)
        await asyncio.sleep(0.02)


def _guesses(names: Names) -> list[Names]:
    """The same device with nothing, and with what was nearly its secret."""
    return [Names(names.device_key, names.client_id, names.user, secret) for secret in ("", names.secret[:-1])]


def _alone(device_key: str) -> dict[str, list[dict[str, str]]]:
    return {"devices": [{"device_key": device_key}]}
