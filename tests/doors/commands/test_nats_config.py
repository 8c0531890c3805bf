"""`licet nats-config`: a server of one's own, started with what it prints, and a licet that stands at its gate."""

import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from doors.commands.terminal import OUTSIDE, ROOT, Terminal, stop

from licet.broker.tokens import issuer_of, new_seed
from licet.run.listening import listen
from licet.run.nats_engine import Listen, Nats
from licet.run.ports import free_port


def test_a_server_of_one_s_own_and_licet_alone(
    tmp_path: Path, empty_database_url: str, start_nats: Callable[..., Nats]
) -> None:
    """It finds books with nothing in them, and brings them up to date by itself."""
    data = tmp_path / "data"
    terminal = Terminal(data)

    def configured(listen: Listen, store: Path) -> str:
        ports = ["--nats-port", str(listen.nats_port), "--mqtt-port", str(listen.mqtt_port)]
        into = tmp_path / "nats.conf"
        done = terminal("nats-config", *ports, "--into", str(into), "--store-dir", str(store), "--server-name", "mine")
        assert (done.status, done.out) == (0, "")
        assert done.err.splitlines() == [
            f"for licet serve: LICET_NATS_PASSWORD_FILE={data}/nats.password",
            f"for licet serve: LICET_BROKER_SEED_FILE={data}/broker.seed",
        ]
        assert stat.S_IMODE(into.stat().st_mode) == 0o600
        return into.read_text()

    nats = start_nats(configured)
    port = free_port("127.0.0.1", 0)
    settings = {
        "LICET_DATA": str(data),
        "LICET_DATABASE_URL": empty_database_url,
        "LICET_NATS_URL": nats.url,
        "LICET_NATS_PASSWORD_FILE": f"{data}/nats.password",
        "LICET_BROKER_SEED_FILE": f"{data}/broker.seed",
        "LICET_HTTP_PORT": str(port),
    }
    with (tmp_path / "serve.log").open("wb") as log:
        serving = subprocess.Popen(
            [sys.executable, "-P", "-m", "licet.run.cli", "serve"],
            env=OUTSIDE | settings | {"PYTHONPATH": str(ROOT / "src")},
            stdout=log,
            stderr=log,
        )
    try:
        assert becomes_ready(f"http://127.0.0.1:{port}", serving), (tmp_path / "serve.log").read_text()
    finally:
        stop(serving)


def test_alone_it_takes_the_port_it_was_told_or_says_why_not(tmp_path: Path, database_url: str) -> None:
    settings = {"database_url": database_url, "nats_url": "nats://127.0.0.1:1", "nats_password": "x"}
    terminal = Terminal(tmp_path, settings | {"broker_seed": new_seed()})
    assert terminal("nats-config").status == 0  # makes the key file
    with listen("127.0.0.1", 0) as taken:
        refused = terminal("serve", "--http-port", str(taken.getsockname()[1]))
    assert refused.status == 1
    assert refused.err.splitlines()[-1].startswith("HTTP cannot be served: ")
    assert "Traceback" not in refused.err


def test_what_is_set_is_what_is_printed(tmp_path: Path) -> None:
    seed = new_seed()
    said = Terminal(tmp_path, {"broker_seed": seed, "nats_password": 'pass"word'})("nats-config", "--host", "0.0.0.0")
    assert (said.status, said.err) == (0, "")
    assert issuer_of(seed) in said.out
    assert seed not in said.out
    assert r'"pass\"word"' in said.out
    assert 'listen: "0.0.0.0:1883"' in said.out
    assert not (tmp_path / "broker.seed").exists()


def test_it_says_the_same_every_time(tmp_path: Path) -> None:
    first = Terminal(tmp_path / "data")("nats-config")
    assert Terminal(tmp_path / "data")("nats-config") == first
    assert stat.S_IMODE((tmp_path / "data" / "broker.seed").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_seed_that_is_none_is_not_taken(tmp_path: Path) -> None:
    refused = Terminal(tmp_path, {"broker_seed": "SAnothing", "nats_password": "x"})("nats-config")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith("broker_seed is not the seed of a NATS account")


def becomes_ready(url: str, serving: subprocess.Popen[bytes]) -> bool:
    give_up = time.monotonic() + 60
    while serving.poll() is None and time.monotonic() < give_up:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == httpx.codes.OK:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    return False
