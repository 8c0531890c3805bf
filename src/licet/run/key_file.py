"""The file with the keys that secrets are sealed with. Lose it and every sealed secret is lost: back it up apart."""

import base64
import json
import os
import secrets
from pathlib import Path

from licet.keyring import Keyring, Keys

_KEY_BYTES = 32
_MOST_KEYS = 256


class KeyFileError(ValueError):
    """The file is not what licet wrote; the sentence says what is wrong."""


def load(path: Path) -> Keyring:
    """The keyring that the file holds, and holds later: it is read again when it has changed."""
    seen = _stamp(path)
    current, keys = _read(path)

    def renewed() -> Keys | None:
        nonlocal seen
        if (stamp := _stamp(path)) == seen:
            return None
        seen = stamp
        return _read(path)

    return Keyring(keys, current, renewed=renewed)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes whenever the file does: it is only ever replaced by another."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def make(path: Path) -> None:
    """Make the file with one fresh key, unless there is one: it is never overwritten."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, 1, {1: secrets.token_bytes(_KEY_BYTES)})


def add_key(path: Path) -> int:
    """A fresh key seals from now on, the others still open. Returns its id. Seal all again, then drop the rest."""
    _, keys = _read(path)
    free = next((key_id for key_id in range(1, _MOST_KEYS) if key_id not in keys), None)
    if free is None:
        raise KeyFileError(f"{path} is full: drop the keys that nothing is sealed with any more")
    _write(path, free, keys | {free: secrets.token_bytes(_KEY_BYTES)})
    return free


def drop_old_keys(path: Path) -> None:
    """Keep the key that seals alone. Only after everything has been sealed again with it."""
    current, keys = _read(path)
    _write(path, current, {current: keys[current]})


def _read(path: Path) -> tuple[int, dict[int, bytes]]:
    try:
        said = json.loads(path.read_text(encoding="ascii"))
        keys = {int(key_id): base64.b64decode(key, validate=True) for key_id, key in said["keys"].items()}
        current = int(said["current"])
    except FileNotFoundError:
        raise KeyFileError(f"{path} is not there; without it no secret in the books can be opened") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KeyFileError(f"{path} is not a key file") from None
    if current not in keys or any(len(key) != _KEY_BYTES for key in keys.values()):
        raise KeyFileError(f"{path} is not a key file")
    return current, keys


def _write(path: Path, current: int, keys: dict[int, bytes]) -> None:
    """Written aside and renamed: who reads it finds the old file or the new one, even after a loss of power."""
    text = json.dumps({"current": current, "keys": {str(i): base64.b64encode(key).decode() for i, key in keys.items()}})
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
