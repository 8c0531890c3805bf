"""A child never outlives its parent: whoever is killed, nobody is left behind holding a port or a data folder."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOG_LIMIT = 16 * 1024 * 1024


class NotReadyError(RuntimeError):
    """A child ended, or did not answer in time, before it was ready."""


@dataclass(frozen=True, slots=True)
class User:
    """A system user that a child steps down to."""

    uid: int
    gid: int


def spawn(
    arguments: Sequence[str | Path],
    *,
    log: Path | None,
    death: signal.Signals = signal.SIGTERM,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    user: User | None = None,
    keep: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child that is sent `death` by the kernel when the thread that started it ends.

    Call it from the main thread only. The child gets a session of its own, so that Ctrl-C reaches
    the parent alone, which then stops its children in order. Without a log the child prints where we print.
    `keep`: open files that the child inherits under the same numbers.
    """
    command = [*step_down(user, death), *map(str, arguments)]
    if log is None:
        return _popen(command, None, folder, environment, keep)
    make_room(log)
    with log.open("ab") as out:
        return _popen(command, out.fileno(), folder, environment, keep)


def step_down(user: User | None, death: signal.Signals = signal.SIGTERM) -> list[str]:
    """The words before a command that make it another user's and let it die with its parent."""
    as_user = [f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"] if user else []
    # The kernel forgets the signal when a process changes its user; setpriv sets it last.
    return ["setpriv", f"--pdeathsig={death.name.removeprefix('SIG')}", *as_user, "--"]


def start_and_wait(process: subprocess.Popen[bytes], ready: Callable[[], bool], *, name: str, within: float) -> None:
    """Wait until a child says that it is ready."""
    give_up = time.monotonic() + within
    while not ready():
        if process.poll() is not None:
            raise NotReadyError(f"{name} ended with status {process.returncode} before it was ready")
        if time.monotonic() > give_up:
            raise NotReadyError(f"{name} was not ready within {within:.0f} seconds")
        time.sleep(0.02)


def stop(process: subprocess.Popen[bytes], how: signal.Signals, *, within: float = 20.0) -> int:
    """Ask a child to stop, and insist if it does not."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def end_leftover(pid: int, how: signal.Signals, *, within: float = 20.0) -> None:
    """End a process that an earlier, killed supervisor left behind; the caller has made sure that it is ours."""
    give_up = time.monotonic() + within
    _send(pid, how)
    while is_alive(pid):
        if time.monotonic() > give_up:
            _send(pid, signal.SIGKILL)
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Is there such a process, and is it more than a zombie that nobody has fetched yet?"""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def command_of(pid: int) -> str:
    """The command line of a process, empty when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def folder_of(pid: int) -> Path | None:
    """The working folder of a process, None when there is none or it is not ours to know."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def make_room(log: Path) -> None:
    """Keep a log, and one before it, small for years. Who writes, appends: it can be emptied under their hands."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)


def _popen(
    command: list[str],
    out: int | None,
    folder: Path | None,
    environment: Mapping[str, str] | None,
    keep: Sequence[int],
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out,
        cwd=folder,
        env=environment,
        start_new_session=True,
        pass_fds=keep,
    )


def _send(pid: int, how: signal.Signals) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return
