"""run.json in the data folder: where everything is, for scripts, while an `up` is ready and no longer."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a script needs to know. It holds the operator's token, so nobody else may read the file.

    ``url``: for who asks on this machine, whatever stands before licet; ``public_url``: for everybody.
    """

    url: str
    public_url: str
    token: str
    mqtt_host: str
    mqtt_port: int
    database_url: str
    nats_url: str


def write(data: Path, running: Running, pids: dict[str, Any]) -> None:
    """Whoever opens the file finds it whole, with what held last."""
    said = {name: getattr(running, name) for name in Running.__slots__} | {"pids": pids}
    aside = data / f"{NAME}.new"
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(said, file, indent=1)
    aside.replace(data / NAME)


def read(data: Path) -> dict[str, Any] | None:
    """What the `up` on this data folder said last, or None when there is none, or none that is whole."""
    try:
        said = json.loads((data / NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def remove(data: Path) -> None:
    """Nothing runs any more."""
    (data / NAME).unlink(missing_ok=True)
