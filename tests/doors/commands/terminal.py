"""A terminal, and a licet of its own that is really running: what is typed, what comes back."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner

from licet.run.cli import app

ROOT = Path(__file__).parents[3]
OUTSIDE = {key: value for key, value in os.environ.items() if not key.startswith("LICET_")}


@dataclass(frozen=True)
class Typed:
    """How a command ended, and what it said where."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The lines of a table without the first, cut where two spaces are; a fact's line is a row of two."""
        assert self.status == 0, self.err
        return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in self.out.splitlines()[1:]]

    @property
    def facts(self) -> dict[str, str]:
        """What a command that shows one thing says of it."""
        assert self.status == 0, self.err
        return {
            name.strip(): fact.strip() for name, _, fact in (each.partition("  ") for each in self.out.splitlines())
        }


@dataclass
class Terminal:
    """Types commands that know this data folder. Whatever is set outside, nothing is set here."""

    data: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, typed: str = "", **settings: str) -> Typed:
        said = {f"LICET_{name.upper()}": value for name, value in (self.settings | settings).items()}
        nothing = dict.fromkeys((key for key in os.environ if key.startswith("LICET_")), None)
        environment: Mapping[str, str | None] = nothing | {"LICET_DATA": str(self.data)} | said
        done = CliRunner().invoke(app, [*words], input=typed, env=environment, catch_exceptions=False)
        return Typed(done.exit_code, done.stdout, done.stderr)

    @property
    def running(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        return said

    def api(self, method: str, path: str, body: object = None) -> str:
        """The API's own answer, as the operator."""
        answer = httpx.request(
            method,
            self.running["url"] + path,
            json=body,
            headers={"Authorization": f"Bearer {self.running['token']}"},
            timeout=30,
        )
        return answer.raise_for_status().text

    def knocks(self, product_key: str, device_key: str, secret: str) -> dict[str, Any]:
        """A device at the door of some other gateway."""
        knock = {"product_key": product_key, "device_key": device_key, "device_secret": secret}
        answer: dict[str, Any] = json.loads(self.api("POST", "/v1/admit", knock))
        return answer


def start(data: Path, *flags: str) -> subprocess.Popen[bytes]:
    """`licet up` on free ports, when it is ready."""
    command = [sys.executable, "-P", "-m", "licet.run.cli", "up", "--data", str(data), *flags]
    ports = ["--http-port", "0", "--mqtt-port", "0", "--nats-port", "0"]
    with (data.parent / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [*command, *ports], env=OUTSIDE | {"PYTHONPATH": str(ROOT / "src")}, stdout=log, stderr=log
        )
    give_up = time.monotonic() + 90
    while not (data / "run.json").exists():
        if up.poll() is not None or time.monotonic() > give_up:
            stop(up)
            raise AssertionError((data.parent / "up.log").read_text())
        time.sleep(0.05)
    return up


def stop(process: subprocess.Popen[bytes]) -> None:
    """In order."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.wait(60)
