"""`licet test`: the quick checks first, then every test, on engines of its own.

What the tools want to remember lies in our own folder, so that a checkout stays as clean as it was.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from shutil import which

from licet.run.config import PREFIX
from licet.run.places import CHECKOUT, state_folder

# What the doors are tried with: a real browser, and the MQTT client that everybody has.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MQTT_CLIENT = "mosquitto_pub"
DEBIAN_PACKAGES = ("chromium", "fonts-dejavu-core", "mosquitto-clients")


def main(arguments: Sequence[str]) -> int:
    """Run everything, but no test once a quick check has failed. Returns the status to exit with."""
    _bring_browser()
    environment = _environment()
    for check in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        print("$", *check, flush=True)
        if status := _run(check, environment):
            return status
    cache = f"cache_dir={state_folder() / 'cache' / 'pytest'}"
    return _run(["pytest", "-n", "auto", "-o", cache, *arguments], environment)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    return subprocess.run([sys.executable, "-m", *command], cwd=CHECKOUT, env=environment, check=False).returncode


def _environment() -> dict[str, str]:
    """Tests start from no setting at all, whatever is set where they are started."""
    cache = state_folder() / "cache"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    return kept | {
        "PYTHONPATH": str(CHECKOUT / "src"),
        "RUFF_CACHE_DIR": str(cache / "ruff"),
        "MYPY_CACHE_DIR": str(cache / "mypy"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(cache / "hypothesis"),
    }


def _bring_browser() -> None:
    """As root on Debian we fetch what is missing. Else the tests that need it fail, and say what to run."""
    if any(map(which, BROWSERS)) and which(MQTT_CLIENT):
        return
    if os.geteuid() == 0 and (apt := which("apt-get")):
        quietly = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *DEBIAN_PACKAGES]):
            print("$ apt-get", *arguments, flush=True)
            subprocess.run([apt, *arguments], env=quietly, stdout=subprocess.DEVNULL, check=False)
