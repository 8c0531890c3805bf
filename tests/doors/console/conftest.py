"""A console that is served, and a browser with a new profile before which the cast sits."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from doors.console.sitting import CHROMIUM, FLAGS, FREE, NOON, Clock, Console
from playwright.async_api import async_playwright

from licet import enrol
from licet.accounts import PLATFORM, Kind, Mode, Role
from licet.invite import invite
from licet.postgres.books import Books
from licet.web.app import create_app


@pytest.fixture
async def console(books: Books, tmp_path: Path) -> AsyncIterator[Console]:
    """Acme with its cast, and a browser."""
    clock, online = Clock(), set[tuple[str, str]]()
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    app = create_app(
        books,
        clock=clock,
        data_center="eu-1",
        free=FREE,
        public_url=url,
        session_hours=12,
        presence=lambda product_key, device_key: (product_key, device_key) in online,
        knocks=Counter[str],
        ready=lambda: True,
        firmware=tmp_path,
    )
    acme, globex = [await _account(books, name) for name in ("Acme", "Globex")]
    cast = {
        "olga": (None, Role.OPERATOR),
        "alice": (acme, Role.OWNER),
        "bob": (acme, Role.VIEWER),
        "mallory": (globex, Role.OWNER),
    }
    people = {}
    for name, (account_id, role) in cast.items():
        email, shown = f"{name}@licet.example", name.title()
        person = await invite(books, account_id=account_id, email=email, name=shown, role=role, by=PLATFORM, now=NOON)
        people[name] = person.id
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
            yield Console(url, books, clock, acme, globex, people, browser, online)
            await browser.close()
    finally:
        server.should_exit = True
        await serving


async def _account(books: Books, name: str) -> str:
    account = await enrol.open_account(
        books,
        name=name,
        kind=Kind.ENTERPRISE,
        time_zone="Europe/Berlin",
        mode=Mode.CHARGE,
        data_center="eu-1",
        free=FREE,
        by=PLATFORM,
        now=NOON,
    )
    return account.id
