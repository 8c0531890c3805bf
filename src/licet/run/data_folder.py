"""The folder that an `up` keeps everything in: one at a time may use it, and what it needs is made on the first day."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from licet.broker.tokens import new_seed
from licet.run import key_file
from licet.run.config import Settings

PASSWORD_FILE = "nats.password"  # noqa: S105 - where it is, not what it is
SEED_FILE = "broker.seed"


class FolderInUseError(RuntimeError):
    """Another `up` has the folder."""


@contextmanager
def taken(data: Path) -> Iterator[None]:
    """Nobody else may use the folder until we let go of it, or end in whatever way."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUseError(f"licet already runs on {data}") from None
        yield
    finally:
        os.close(lock)


def complete(settings: Settings) -> Settings:
    """The settings with every secret that nobody has set: made on the first day, the same on every other."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_file.make(settings.key_file)
    return replace(
        settings,
        nats_password=settings.nats_password or _kept(settings.data / PASSWORD_FILE, secrets.token_hex(24)),
        broker_seed=settings.broker_seed or _kept(settings.data / SEED_FILE, new_seed()),
    )


def _kept(path: Path, fresh: str) -> str:
    if not path.exists():
        aside = path.with_name(path.name + ".new")
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(fresh + "\n")
        aside.replace(path)
    return path.read_text(encoding="ascii").strip()
