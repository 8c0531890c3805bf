"""Where licet lives on this machine when nobody says otherwise: a folder for each checkout, so two never collide."""

import hashlib
import os
from pathlib import Path

import licet

CHECKOUT = Path(licet.__file__).resolve().parents[2]


def state_folder() -> Path:
    """The same place that the launcher keeps the environment in; it names it by the same rule."""
    digest = hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:8]
    return _home() / f"{CHECKOUT.name}-{digest}"


def _home() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/licet")
    given = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(given) / "licet"
