"""Four files of others that the console shows: copied out of three packages, each checked, none of them kept in git.

The launcher unpacks the packages of requirements/static.txt aside and runs this file with the folder as its argument.
"""

import hashlib
import os
import sys
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[1] / "web" / "static" / "vendor"

_INTER = "unfold/static/unfold/fonts/inter"

# Where each lies in its package, and the SHA-256 of the very bytes that the console was looked at with.
FILES = {
    "sqladmin/statics/css/tabler.min.css": "b200b267a969ac1163229932a92bc6b2af8ce2d5bd1de056a2ef40b13ded965a",
    "django_htmx/static/django_htmx/htmx-2.min.js": "71ea67185bfa8c98c39d31717c6fce5d852370fcdfd129db4543774d3145c0de",
    f"{_INTER}/Inter-Regular.woff2": "e06f6b1bc553aaea4e4668023ed0ab0a147129c3107f511bc7d03d361b0ae085",
    f"{_INTER}/Inter-SemiBold.woff2": "5cb7103e4e605989afebc03d989c79201e54b21b5183db33981f70db9178a301",
}


def copy_from(unpacked: Path, vendor: Path = VENDOR) -> None:
    """Copy every file, or raise ValueError for the first whose bytes are others than those we know."""
    contents = {}
    for inside, expected in FILES.items():
        contents[Path(inside).name] = content = (unpacked / inside).read_bytes()
        if (found := hashlib.sha256(content).hexdigest()) != expected:
            raise ValueError(f"{inside} has the checksum {found}, expected {expected}")
    vendor.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        aside = vendor / f".{name}.{os.getpid()}"
        aside.write_bytes(content)
        aside.replace(vendor / name)


def are_there(vendor: Path = VENDOR) -> bool:
    """Is every file in its place, with the bytes that we know?"""
    return all(_is(vendor / Path(inside).name, expected) for inside, expected in FILES.items())


def _is(path: Path, expected: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == expected


if __name__ == "__main__":
    if len(sys.argv) == 2:
        copy_from(Path(sys.argv[1]))
    sys.exit(not are_there())
