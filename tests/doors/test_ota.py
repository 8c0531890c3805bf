"""An upgrade on a whole licet: offered over MQTT, fetched over HTTP while licet is killed, charged once."""

import hashlib
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import httpx
from doors.broker.devices import Device
from doors.eventually import eventually
from doors.mqtt import knock
from doors.running import Up, operator
from doors.shop import Shop, open_shop

MB = 2**20
FIRMWARE = hashlib.shake_256(b"thermo 2.0").digest(24 * MB)
KILLS = 3


async def test_a_device_that_has_its_firmware_was_charged_once_whatever_was_killed(up: Callable[..., Up]) -> None:
    """F1 to F3: 24 MB are 5 attempts; with 1 allowed, 4 of them are excess."""
    one = up()
    said = one.start()
    async with operator(said) as api:
        shop = await open_shop(said, api, codes=1, devices=1)
        offer = await _offered(shop)
        assert (offer["bytes"], offer["sha256"]) == (len(FIRMWARE), hashlib.sha256(FIRMWARE).hexdigest())
        received = bytearray()
        for number in range(1, KILLS + 1):
            (licet,) = one.running()["pids"]["licet"]
            await _fetch(shop, offer["url"], received, kill=licet, at=number * 5 * MB)
            await eventually(lambda: _ready(said), bool, within=60)
        assert len(received) < len(FIRMWARE)
        (under_way,) = await api.all("/v1/ota", product_key=shop.product_key)
        assert under_way["state"] == "reserved"
        await _fetch(shop, offer["url"], received)
        assert received == FIRMWARE
        (upgrade,) = await api.all("/v1/ota", product_key=shop.product_key)
        assert upgrade["id"] == under_way["id"]
        told = [upgrade[name] for name in ("state", "attempts", "covered", "excess")]
        assert told == ["completed", 5, 1, 4]
        used = await api.ask("GET", "/v1/usage/ota", params={"product_key": shop.product_key, "by": "month"})
        assert [(each["used"], each["covered"], each["excess"]) for each in used["data"]] == [(5, 1, 4)]


async def _offered(shop: Shop) -> dict[str, Any]:
    """The device listens, a campaign offers it the firmware; this is what it hears."""
    knocked = await knock(shop.said, shop.names("dev0000"))
    assert knocked.device is not None
    device: Device = knocked.device
    await device.subscribe(f"down/{shop.product_key}/dev0000/#", 1)
    params = {"name": "thermo 2.0", "account_id": shop.account_id}
    made = await shop.api.ask("POST", "/v1/firmware", 201, params=params, content=FIRMWARE)
    asked = {"product_key": shop.product_key, "firmware_id": made["id"], "all": True}
    await shop.api.ask("POST", "/v1/ota/campaigns", 201, json=asked)
    topic, payload = await device.message(within=30)
    assert topic == f"down/{shop.product_key}/dev0000/sys/ota"
    await device.close()
    offer: dict[str, Any] = json.loads(payload)
    return offer


async def _fetch(shop: Shop, url: str, received: bytearray, *, kill: int | None = None, at: int = 0) -> None:
    """Go on where it stopped. When so many bytes are there, licet is killed; what is on its way then may still come."""
    names = shop.names("dev0000")
    asked = {"range": f"bytes={len(received)}-"} if received else {}
    try:
        async with (
            httpx.AsyncClient(auth=(names.user, names.secret), timeout=60) as device,
            device.stream("GET", url, headers=asked) as answer,
        ):
            assert answer.status_code == (206 if received else 200)
            async for piece in answer.aiter_bytes(64 * 1024):
                received += piece
                if kill is not None and len(received) >= at:
                    os.kill(kill, signal.SIGKILL)
                    kill = None
    except httpx.TransportError:
        assert at, "nobody had killed it"


async def _ready(said: dict[str, Any]) -> bool:
    try:
        async with httpx.AsyncClient(timeout=5) as anybody:
            return (await anybody.get(f"{said['url']}/readyz")).status_code == 200
    except httpx.HTTPError:
        return False
