"""One licet that runs for all commands, from a fixed instant on; and a fresh account for each test that wants one."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from doors.commands.terminal import Terminal, start, stop

STARTED = "2026-02-01T08:00:00Z"


@dataclass(frozen=True)
class Sold:
    """An account of this test's own with a package, a product, and codes: 20 assigned, 30 unassigned."""

    account: str
    package: str
    product_key: str


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal on the data folder of a licet that runs."""
    data = tmp_path_factory.mktemp("commands") / "data"
    up = start(data, "--now", STARTED)
    yield Terminal(data)
    stop(up)


@pytest.fixture
def licet(running: Terminal) -> Terminal:
    """The same, with nothing typed yet."""
    return Terminal(running.data)


@pytest.fixture
def name() -> str:
    """A name that nobody else has."""
    return f"Acme {uuid.uuid4().hex[:8]}"


@pytest.fixture
def sold(licet: Terminal, name: str) -> Sold:
    account = licet("accounts", "open", name, "--json").json["id"]
    figures = ["--messages-per-day", "1500", "--ota-per-month", "1", "--storage-days", "7"]
    package = licet("packages", "define", f"year of {name}", "P1Y", *figures, "--json").json["id"]
    assert licet("credit", account, package, "50", "--order", "PO-1").status == 0
    product_key = licet("products", "create", "Thermostat", "--account", account, "--json").json["product_key"]
    assert licet("assign", product_key, package, "20").status == 0
    return Sold(account, package, product_key)
