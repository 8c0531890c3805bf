"""`licet up` for tests of the whole: one that many tests share and none may hurt, and any number of a test's own."""

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from doors.running import PATIENCE, Api, Up, each_answers, operator, wait_for


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """`up("name", processes="2")`: one of this test's own, not started yet."""
    made: list[Up] = []

    def make(name: str = "data", **flags: str) -> Up:
        asked = {"http-port": "0", "mqtt-port": "0", "nats-port": "0"} | flags
        one = Up(tmp_path / name, tuple(part for key, value in asked.items() for part in (f"--{key}", value)))
        made.append(one)
        return one

    yield make
    for one in made:
        if one.process is not None:
            one.end(signal.SIGTERM)


@pytest.fixture(scope="session")
def shared_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Two licet processes on engines of their own. Nobody kills any of it, and every test opens a shop of its own."""
    one = Up(tmp_path_factory.mktemp("up") / "data")
    said = one.start("--processes", "2")
    wait_for(lambda: each_answers(said, "/readyz"), within=PATIENCE)
    yield one
    status, output = one.end(signal.SIGTERM)
    assert status == 0, output


@pytest.fixture
def said(shared_up: Up) -> dict[str, Any]:
    """Where everything is."""
    return shared_up.running()


@pytest.fixture
async def api(said: dict[str, Any]) -> AsyncIterator[Api]:
    async with operator(said) as api:
        yield api
