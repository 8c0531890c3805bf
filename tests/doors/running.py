"""A whole licet as somebody runs it: `licet up` in a folder of its own, on free ports, and an operator at its API."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg

ROOT = Path(__file__).parents[2]
FREE_PORTS = ("--http-port", "0", "--mqtt-port", "0", "--nats-port", "0")

# A machine that does much else at the same time is slow, and not wrong.
PATIENCE = 90.0


@dataclass
class Up:
    """One `licet up` on a data folder, on ports that are free."""

    data: Path
    flags: tuple[str, ...] = FREE_PORTS
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    def start(self, *flags: str, **settings: str) -> dict[str, Any]:
        """Start it with more flags, and settings in its environment; say where everything is once it is ready."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LICET_")}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "licet.run.cli", "up", "--data", str(self.data), *self.flags, *flags],
            env=environment | {"PYTHONPATH": str(ROOT / "src")} | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self.running()

    def running(self) -> dict[str, Any]:
        """What it says of itself now."""
        wait_for(lambda: self._said() is not None or self._ended(), within=PATIENCE)
        said = self._said()
        assert said is not None, self.output()
        return said

    def end(self, how: signal.Signals) -> tuple[int, str]:
        """End the supervisor; the status it ended with, and what it said all the while."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output

    def output(self) -> str:
        return self.end(signal.SIGTERM)[1]

    def logs(self) -> str:
        """The end of what each licet process logged."""
        told = [(path.name, path.read_text().splitlines()[-40:]) for path in sorted(self.data.glob("licet-*.log"))]
        return "\n".join("\n  ".join([f"{name}:", *lines]) for name, lines in told)

    def _said(self) -> dict[str, Any] | None:
        """What run.json says, if it is this supervisor's and not what a killed one left."""
        try:
            said: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        except FileNotFoundError:
            return None
        assert self.process is not None
        return said if said["pids"]["supervisor"] == self.process.pid else None

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None


def pids(said: dict[str, Any]) -> list[int]:
    found = said["pids"]
    return [found["supervisor"], found["postgres"], found["nats"], *found["licet"]]


def answers(said: dict[str, Any], path: str) -> bool:
    at = urlsplit(said["url"])
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def greets(said: dict[str, Any]) -> bool:
    at = urlsplit(said["nats_url"])
    try:
        with socket.create_connection((at.hostname, at.port), timeout=5) as connection:
            return connection.recv(5) == b"INFO "
    except OSError:
        return False


def opens(said: dict[str, Any]) -> bool:
    try:
        with psycopg.connect(said["database_url"]) as books:
            return books.execute("select 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def wait_for(done: Callable[[], bool], within: float = 30.0) -> None:
    give_up = time.monotonic() + within
    while not done():
        assert time.monotonic() < give_up
        time.sleep(0.05)


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """These processes are there and do nothing: whatever they are asked, they do not answer."""
    try:
        _signal(pids, signal.SIGSTOP)
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], how: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # an engine's children come and go
            os.kill(pid, how)


def family(pid: int) -> list[int]:
    """A process and its children."""
    return [pid, *(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def one_by_one(said: dict[str, Any]) -> Iterator[None]:
    """Ask each licet process in turn: they share a socket, so the others hold still meanwhile."""
    licets = said["pids"]["licet"]
    for pid in licets:
        with stopped([other for other in licets if other != pid]):
            yield


def each_answers(said: dict[str, Any], path: str) -> bool:
    return False not in [answers(said, path) for _ in one_by_one(said)]


def knocks_answered(said: dict[str, Any]) -> list[Counter[str]]:
    """What each licet process has answered at the gate."""
    return [_knocks(httpx.get(f"{said['url']}/metrics", timeout=PATIENCE).text) for _ in one_by_one(said)]


def _knocks(told: str) -> Counter[str]:
    lines = (line for line in told.splitlines() if line.startswith("licet_knocks_total{"))
    return Counter({line.split('"')[1]: int(float(line.split()[-1])) for line in lines})


@dataclass
class Api:
    """The operator before the API."""

    client: httpx.AsyncClient

    async def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        """The body of an answer that must have that status."""
        response = await self.client.request(method, path, **more)
        assert response.status_code == status, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    async def all(self, path: str, **asked: Any) -> list[dict[str, Any]]:
        """Every page of a list."""
        found, cursor = [], None
        while True:
            page = await self.ask("GET", path, params={"limit": 200} | asked | ({"cursor": cursor} if cursor else {}))
            found += page["data"]
            if (cursor := page["next_cursor"]) is None:
                return found


@asynccontextmanager
async def operator(said: dict[str, Any]) -> AsyncIterator[Api]:
    async with httpx.AsyncClient(
        base_url=said["url"], headers={"authorization": f"Bearer {said['token']}"}, timeout=60
    ) as client:
        yield Api(client)
