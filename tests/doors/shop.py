"""Acme has a product, has bought codes for it, and has imported devices: all of it through the API."""

import uuid
from dataclasses import dataclass
from typing import Any

import psycopg
from doors.mqtt import Names
from doors.running import Api


@dataclass
class Shop:
    """One product of an account of its own. ``secrets``: of each device that was imported."""

    said: dict[str, Any]
    api: Api
    account_id: str
    package_id: str
    product_key: str
    product_secret: str
    secrets: dict[str, str]

    def names(self, device_key: str) -> Names:
        """What the device shows at the door."""
        return Names.of(self.product_key, device_key, self.secrets[device_key])

    @property
    def everybody(self) -> list[Names]:
        return [self.names(device_key) for device_key in self.secrets]

    async def credit(self, quantity: int, order_reference: str) -> None:
        asked = {
            "account_id": self.account_id,
            "product_key": self.product_key,
            "package_id": self.package_id,
            "quantity": quantity,
            "order_reference": order_reference,
        }
        await self.api.ask("POST", "/v1/lots", 201, json=asked)

    async def import_devices(self, device_keys: list[str]) -> None:
        asked = {"devices": [{"device_key": device_key} for device_key in device_keys]}
        told = await self.api.ask("POST", f"/v1/products/{self.product_key}/devices", 201, json=asked)
        self.secrets |= {each["device_key"]: each["device_secret"] for each in told["data"]}

    async def codes(self) -> dict[str, int]:
        codes: dict[str, int] = (await self.api.ask("GET", f"/v1/products/{self.product_key}"))["codes"]
        return codes

    async def device(self, device_key: str) -> dict[str, Any]:
        device: dict[str, Any] = await self.api.ask("GET", f"/v1/devices/{self.product_key}/{device_key}")
        return device

    async def explain(self, device_key: str) -> dict[str, Any]:
        why: dict[str, Any] = await self.api.ask("GET", f"/v1/devices/{self.product_key}/{device_key}/explain")
        return why

    async def activations(self, device_key: str) -> list[dict[str, Any]]:
        path = f"/v1/devices/{self.product_key}/{device_key}/activations"
        spans: list[dict[str, Any]] = (await self.api.ask("GET", path))["data"]
        return spans

    def spans(self) -> list[tuple[str, int]]:
        """Device key and number of every code that the books say was consumed, read past licet."""
        with psycopg.connect(self.said["database_url"]) as books:
            return books.execute(
                "select device_key, number from activations a join devices d on d.id = a.device_id"
                " join products p on p.id = a.product_id where p.product_key = %s order by number",
                [self.product_key],
            ).fetchall()


async def open_shop(said: dict[str, Any], api: Api, *, codes: int, devices: int = 0, term: str = "P1Y") -> Shop:
    """Open an account with a product, so many codes for it, and so many devices: dev0000, dev0001, …"""
    name = f"shop {uuid.uuid4().hex[:12]}"
    account = await api.ask("POST", "/v1/accounts", 201, json={"name": name, "kind": "enterprise"})
    figures = {"term": term, "messages_per_day": 1500, "ota_per_month": 1, "storage_days": 7}
    package = await api.ask("POST", "/v1/packages", 201, json={"name": name} | figures)
    product = await api.ask("POST", "/v1/products", 201, json={"account_id": account["id"], "name": "Thermostat"})
    shop = Shop(said, api, account["id"], package["id"], product["product_key"], product["product_secret"], {})
    if codes:
        await shop.credit(codes, "order 1")
    if devices:
        await shop.import_devices([f"dev{n:04}" for n in range(devices)])
    return shop
