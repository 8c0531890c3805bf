"""One licet process as the supervisor sees it: `licet serve` with the settings of this `up` in its environment."""

import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path

from licet.run.child import spawn, stop
from licet.run.config import PREFIX, Settings


class LicetProcess:
    """A child that runs a command of licet's own command line."""

    def __init__(
        self,
        name: str,
        command: str,
        settings: Settings,
        *,
        answers_at: tuple[str, int] | None,
    ) -> None:
        """`answers_at`: where it must say that it is ready; None if running is all that is asked of it."""
        self.name = name
        self.log = settings.data / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._command = command
        self._settings = settings
        self._answers_at = answers_at

    def prepare(self) -> None:
        """Everything it needs is there before it is started."""

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process."""
        settings = self._settings
        outside = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        keep = () if settings.http_fd is None else (settings.http_fd,)
        self.process = spawn(
            [sys.executable, "-P", "-m", "licet.run.cli", self._command],
            log=self.log,
            environment=outside | settings.environment() | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            keep=keep,
        )
        return self.process

    def ready(self) -> bool:
        """Ask it, the way a load balancer would."""
        if self.process is None or self.process.poll() is not None:
            return False
        if self._answers_at is None:
            return True
        connection = http.client.HTTPConnection(*self._answers_at, timeout=2.0)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """Let it finish what it is doing."""
        if self.process is not None:
            stop(self.process, signal.SIGTERM)
