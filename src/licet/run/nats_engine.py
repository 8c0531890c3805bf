"""nats-server under our own supervision: one process, one folder for its streams, one port each for NATS and MQTT."""

import json
import os
import signal
import socket
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from licet.run.child import NotReadyError, command_of, end_leftover, is_alive, spawn, start_and_wait, stop

CONFIG_FILE = "nats.conf"
PID_FILE = "pid"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the server answers: `host` for both, a port for licet and a port for devices."""

    host: str
    nats_port: int
    mqtt_port: int

    @property
    def nats_url(self) -> str:
        """What licet itself connects to."""
        return f"nats://{_bracketed(self.host)}:{self.nats_port}"


class Nats:
    """One nats-server: start and stop it as often as you like, its streams stay in the folder."""

    name = "NATS"
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path, config: str, listen: Listen, *, server: Path | None = None) -> None:
        """`config` is the server's whole configuration; its ports must be those of `listen`."""
        self.folder = folder
        self.listen = listen
        self.log = folder / "nats.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._config = config
        self._config_file = folder / CONFIG_FILE
        self._pid_file = folder / PID_FILE
        self._server = server or shipped_server()

    @property
    def url(self) -> str:
        """What licet itself connects to."""
        return self.listen.nats_url

    @property
    def store(self) -> Path:
        """Where the streams lie."""
        return self.folder / "streams"

    def start(self, *, within: float = 30.0) -> None:
        """Start the server and wait until both of its ports answer."""
        self.prepare()
        start_and_wait(self.spawn(), self.ready, name=self.name, within=within)

    def stop(self) -> None:
        """Stop the server in order; afterwards nothing of it runs."""
        if self.process is not None:
            stop(self.process, self.stop_signal)
            self._pid_file.unlink(missing_ok=True)

    def prepare(self) -> None:
        """Write the configuration, which holds a password, and end what a killed supervisor left running."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.store.mkdir(exist_ok=True, mode=0o700)
        self._config_file.touch(mode=0o600)
        self._config_file.write_text(self._config, encoding="utf-8")
        leave_nothing_running(self.folder)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server without waiting for it."""
        self.process = spawn([self._server, "--config", self._config_file], log=self.log, death=self.stop_signal)
        self._pid_file.write_text(str(self.process.pid), encoding="ascii")
        return self.process

    def ready(self) -> bool:
        """NATS greets whoever connects; MQTT waits for the device to speak first, so a connection must do."""
        if greeting(self.listen.host, self.listen.nats_port) is None:
            return False
        try:
            socket.create_connection((self.listen.host, self.listen.mqtt_port), timeout=1.0).close()
        except OSError:
            return False
        return True


def greeting(host: str, port: int) -> dict[str, Any] | None:
    """What a nats-server says about itself to whoever connects, or None if nobody does."""
    try:
        with socket.create_connection((host, port), timeout=2.0) as connection:
            line = connection.makefile("rb").readline(65536)
            said = json.loads(line.removeprefix(b"INFO "))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def leave_nothing_running(folder: Path) -> None:
    """End the server that a killed supervisor left running on this folder, if it still runs."""
    try:
        pid = int((folder / PID_FILE).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return
    # The number may be somebody else's by now.
    if is_alive(pid) and str(folder / CONFIG_FILE) in command_of(pid):
        end_leftover(pid, Nats.stop_signal)


def shipped_server() -> Path:
    """The nats-server that came with the environment."""
    server = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not os.access(server, os.X_OK):
        raise NotReadyError("nats-server is not in this environment; run ./licet, which installs it")
    return server


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
