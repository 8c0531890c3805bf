"""An app on books of its own, and a client for each of the cast."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from licet.accounts import FreeCodes
from licet.packages import Allowance
from licet.postgres.books import Books
from licet.units import Term
from licet.web.app import create_app

NOON = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
FREE = FreeCodes(10, 5, Allowance(Term(12, 0), 1500, 1, 7))
PUBLIC_URL = "http://licet.test"


@dataclass
class Clock:
    """Stands still until somebody moves it."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Stage:
    """An app on books of its own, the accounts of the cast, and a client for each of them."""

    app: FastAPI
    books: Books
    clock: Clock
    acme: str
    globex: str
    people: dict[str, str]
    tokens: dict[str, str]
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    online: set[tuple[str, str]] = field(default_factory=set)

    def __getattr__(self, name: str) -> httpx.AsyncClient:
        """``stage.alice`` is Alice's client."""
        try:
            return self.__dict__["clients"][name]
        except KeyError:
            raise AttributeError(name) from None

    async def product(self, name: str = "Thermostat") -> dict[str, Any]:
        return self.made(await self.operator.post("/v1/products", json={"account_id": self.acme, "name": name}), 201)

    async def package(self, name: str = "year-1500", **figures: Any) -> dict[str, Any]:
        asked = {"term": "P1Y", "messages_per_day": 1500, "ota_per_month": 1, "storage_days": 7} | figures
        return self.made(await self.operator.post("/v1/packages", json=asked | {"name": name}), 201)

    async def lot(self, package: str, quantity: int, order: str, product_key: str | None = None) -> dict[str, Any]:
        asked = {"account_id": self.acme, "package_id": package, "quantity": quantity, "order_reference": order}
        return self.made(await self.operator.post("/v1/lots", json=asked | {"product_key": product_key}), 201)

    async def device(self, product_key: str, device_key: str = "thermo1") -> str:
        asked = {"devices": [{"device_key": device_key}]}
        imported = self.made(await self.alice.post(f"/v1/products/{product_key}/devices", json=asked), 201)
        secret: str = imported["data"][0]["device_secret"]
        return secret

    async def sold(self, codes: int = 2) -> tuple[str, str]:
        """A product of Acme's with so many codes; its key and the package's id."""
        product, package = await self.product(), await self.package()
        await self.lot(package["id"], codes, "order 1", product["product_key"])
        return product["product_key"], package["id"]

    @staticmethod
    def made(response: httpx.Response, status: int = 200) -> dict[str, Any]:
        """The body of an answer that must have that status."""
        assert response.status_code == status, response.text
        body: dict[str, Any] = response.json()
        return body

    @staticmethod
    def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
        """The problem that an answer must be."""
        assert (response.status_code, response.json().get("code")) == (status, code), response.text
        assert response.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = response.json()
        assert problem["type"] == f"urn:licet:problem:{code}"
        assert {"title", "status", "detail", "transient", "request_id"} <= set(problem)
        return problem

    def a_client(self, **headers: str) -> httpx.AsyncClient:
        """Somebody else at the door: no token, no cookies yet."""
        return client_of(self.app, **headers)


def app_on(
    books: Books, clock: Clock, online: set[tuple[str, str]], firmware: Path, public_url: str = PUBLIC_URL
) -> FastAPI:
    return create_app(
        books,
        clock=clock,
        data_center="local",
        free=FREE,
        public_url=public_url,
        session_hours=12,
        presence=lambda product_key, device_key: (product_key, device_key) in online,
        knocks=lambda: Counter(admitted=3, no_code_available=1),
        ready=lambda: True,
        firmware=firmware,
        firmware_mib=24,
    )


def client_of(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 50000))
    return httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL, headers=headers)
