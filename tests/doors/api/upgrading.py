"""What the tests of upgrades say to the API: a firmware of 6 MB, who uploads it, and devices that fetch it."""

import base64
import hashlib
from typing import Any

import httpx
from doors.api.stage import Stage, client_of

MB = 2**20
FIRMWARE = hashlib.shake_256(b"thermo 1.2").digest(6 * MB)
HASH = hashlib.sha256(FIRMWARE).hexdigest()


def a_device(stage: Stage, product_key: str, device_key: str, secret: str) -> httpx.AsyncClient:
    shown = base64.b64encode(f"{product_key}/{device_key}:{secret}".encode()).decode()
    return client_of(stage.app, authorization=f"Basic {shown}")


async def begun(stage: Stage, pk: str, size: int, **more: Any) -> dict[str, Any]:
    asked = {"product_key": pk, "device_key": "thermo1", "bytes": size} | more
    return stage.made(await stage.max.post("/v1/ota", json=asked), 201)


async def uploaded(stage: Stage, content: bytes = FIRMWARE, **params: str) -> dict[str, Any]:
    answer = await stage.max.post("/v1/firmware", params={"name": "thermo 1.2"} | params, content=content)
    return stage.made(answer, 201)


async def upgrade_of(stage: Stage, device_key: str = "thermo1") -> dict[str, Any]:
    """The device's latest upgrade."""
    listed = stage.made(await stage.bob.get("/v1/ota", params={"device_key": device_key}))
    latest: dict[str, Any] = listed["data"][0]
    return latest


async def blocks(stage: Stage) -> None:
    await stage.operator.patch(f"/v1/accounts/{stage.acme}", json={"mode": "block"})
    stage.clock.move(days=1)
