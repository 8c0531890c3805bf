"""The cast before the API: Alice owns Acme, Max works there, Bob may look; Mallory is of Globex; one operates."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from doors.api.stage import FREE, NOON, Clock, Stage, app_on, client_of
from doors.api.upgrading import a_device

from licet.accounts import OF_PROGRAMS, PLATFORM, Kind, Mode, Role
from licet.admit import admit
from licet.enrol import open_account
from licet.invite import invite, issue_token
from licet.postgres.books import Books
from licet.products import Knock


@pytest.fixture
async def stage(books: Books, tmp_path: Path) -> AsyncIterator[Stage]:
    clock, online = Clock(), set[tuple[str, str]]()
    app = app_on(books, clock, online, tmp_path / "firmware")
    accounts = [
        await open_account(
            books,
            name=name,
            kind=Kind.ENTERPRISE,
            time_zone="UTC",
            mode=Mode.CHARGE,
            data_center="local",
            free=FREE,
            by=PLATFORM,
            now=NOON,
        )
        for name in ("Acme", "Globex")
    ]
    acme, globex = (account.id for account in accounts)
    cast = {
        "operator": (None, Role.OPERATOR),
        "alice": (acme, Role.OWNER),
        "max": (acme, Role.MEMBER),
        "bob": (acme, Role.VIEWER),
        "mallory": (globex, Role.OWNER),
        "gateway": (None, Role.BROKER),
        "collector": (None, Role.INGEST),
    }
    people, tokens = {}, {}
    for name, (account_id, role) in cast.items():
        if role not in OF_PROGRAMS:
            email = f"{name}@licet.test"
            person = await invite(
                books, account_id=account_id, email=email, name=name.title(), role=role, by=PLATFORM, now=NOON
            )
            people[name] = person.id
        _, tokens[name] = await issue_token(
            books, account_id=account_id, name=f"{name}'s program", role=role, by=PLATFORM, now=NOON
        )
    stage = Stage(app, books, clock, acme, globex, people, tokens, online=online)
    async with AsyncExitStack() as stack:
        for name, token in tokens.items():
            client = client_of(app, authorization=f"Bearer {token}")
            stage.clients[name] = await stack.enter_async_context(client)
        stage.clients["nobody"] = await stack.enter_async_context(client_of(app))
        yield stage


@pytest.fixture
async def pk(stage: Stage) -> str:
    """A product with two devices that are active; ``stage.thermo1`` is the client of the first."""
    key, _ = await stage.sold(5)
    for device_key in ("thermo1", "thermo2"):
        secret = await stage.device(key, device_key)
        await admit(stage.books, [Knock(key, device_key, secret)], now=stage.clock())
        stage.clients[device_key] = a_device(stage, key, device_key, secret)
    return key
