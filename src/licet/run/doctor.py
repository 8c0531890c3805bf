"""`licet doctor`: are the engines there, new enough and reachable, and can what licet keeps be read?"""

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from licet.postgres.version import OLDEST, server_version
from licet.run import key_file, run_file
from licet.run.child import NotReadyError, is_alive
from licet.run.config import Settings
from licet.run.nats_engine import greeting, shipped_server
from licet.run.postgres_engine import program

OLDEST_NATS = (2, 11)

Finding = tuple[bool, str]


def main(settings: Settings) -> int:
    """Print what was found, one line each. Returns 0 only if all is well."""
    findings = [*_life(settings), *_database(settings), *_nats(settings), *_kept(settings)]
    for well, sentence in findings:
        print("ok   " if well else "WRONG", sentence)
    return 0 if all(well for well, _ in findings) else 1


def _life(settings: Settings) -> Iterator[Finding]:
    if _running(settings):
        yield True, f"licet runs here, on {settings.data}"
    elif run_file.read(settings.data):
        yield False, "licet did not end in order here, and does not run; ./licet up starts it, and loses nothing"


def _database(settings: Settings) -> Iterator[Finding]:
    url = settings.database_url or _running(settings).get("database_url", "")
    if not url:
        yield _program("PostgreSQL, which ./licet up starts", program("postgres"), OLDEST // 10_000, 0)
        return
    found = asyncio.run(server_version(url))
    if isinstance(found, str):
        yield False, f"PostgreSQL cannot be reached: {found}"
    else:
        version = f"{found // 10_000}.{found % 10_000}"
        yield found >= OLDEST, f"PostgreSQL {version} answers; {OLDEST // 10_000} or later is needed"


def _nats(settings: Settings) -> Iterator[Finding]:
    url = settings.nats_url or _running(settings).get("nats_url", "")
    if not url:
        try:
            server = settings.nats_server or shipped_server()
        except NotReadyError as error:
            yield False, str(error)
            return
        yield _program("nats-server, which ./licet up starts", server, *OLDEST_NATS)
        return
    at = urlsplit(url)
    said = greeting(at.hostname or "127.0.0.1", at.port or 4222)
    if said is None:
        yield False, f"NATS does not answer at {at.hostname}:{at.port or 4222}"
        return
    version = _version(str(said.get("version")))
    yield version >= OLDEST_NATS, f"NATS {said.get('version')} answers; 2.11 or later is needed"
    yield bool(said.get("jetstream")), "NATS stores messages (JetStream)"


def _kept(settings: Settings) -> Iterator[Finding]:
    data = settings.data
    if not data.exists():
        yield True, f"{data} is not there yet; ./licet up makes it"
        return
    yield os.access(data, os.R_OK | os.W_OK | os.X_OK), f"{data} can be written"
    if settings.key_file.exists() or (data / "postgres").exists():
        try:
            key_file.load(settings.key_file)
        except (key_file.KeyFileError, OSError) as error:
            yield False, str(error)
        else:
            mode = settings.key_file.stat().st_mode & 0o077
            yield mode == 0, f"{settings.key_file} can be read, and by nobody else"


def _running(settings: Settings) -> dict[str, Any]:
    """What an `up` says of itself; nothing when it was killed and could not take it back."""
    said = run_file.read(settings.data) or {}
    return said if said and is_alive(said["pids"]["supervisor"]) else {}


def _program(name: str, path: Path, *oldest: int) -> Finding:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        return False, f"{name}: {path} does not run: {error}"
    return _version(said) >= oldest, f"{name}: {said}"


def _version(text: str) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
