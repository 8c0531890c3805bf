"""The launcher: from any folder, through links and spaces, each checkout with a place of its own.

That it installs on a bare machine is shown by whoever runs `./licet test` there: it is how these tests come to run.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from licet.run import places, static_files

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """A copy of what the launcher looks at, with an environment that is installed and says how it was called."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    states: list[Path] = []

    def copy(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        shutil.copy2(ROOT / "licet", folder)
        shutil.copytree(ROOT / "requirements", folder / "requirements")
        vendor = folder / "src" / "licet" / "web" / "static" / "vendor"
        vendor.mkdir(parents=True)
        for inside in static_files.FILES:
            (vendor / Path(inside).name).touch()
        states.append(state_of(folder, monkeypatch))
        environment = states[-1] / f"env-{digest_of_locks(folder)}"
        (environment / "bin").mkdir(parents=True)
        says = '#!/bin/sh\necho "$0"\necho "$PYTHONPATH"\nprintf "%s\\n" "$@"\n'
        (environment / "bin" / "python").write_text(says)
        (environment / "bin" / "python").chmod(0o755)
        for group in ("run", "test"):
            (environment / f"installed-{group}").touch()
        return folder

    yield copy
    for state in states:
        shutil.rmtree(state)


def state_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(places, "CHECKOUT", folder.resolve())
    return places.state_folder()


def digest_of_locks(folder: Path) -> str:
    locks = b"".join((folder / "requirements" / name).read_bytes() for name in ("run.txt", "test.txt"))
    python = Path(shutil.which("python3") or "").resolve()
    return hashlib.sha256(locks + os.fsencode(python)).hexdigest()[:8]


def say(command: list[str | Path], **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | more, cwd="/")


@pytest.mark.parametrize("name", ["licet", "with a space and 'quotes'", "-dash", "ünïcode"])
def test_it_runs_from_any_folder_with_what_it_was_given(checkout: Callable[[str], Path], name: str) -> None:
    folder = checkout(name)
    done = say([folder / "licet", "explain", "a b", "", "$HOME", "--x=*"])
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[0].endswith(f"env-{digest_of_locks(folder)}/bin/python")
    assert said[1] == str(folder / "src")
    assert said[2:] == ["-P", "-m", "licet.run.cli", "explain", "a b", "", "$HOME", "--x=*"]


@pytest.mark.parametrize("inside", static_files.FILES)
def test_it_installs_only_what_is_not_there(checkout: Callable[[str], Path], inside: str) -> None:
    folder = checkout("licet")
    environment = Path(say([folder / "licet", "up"]).stdout.splitlines()[0]).parents[1]
    assert "installing" not in say([folder / "licet", "up"]).stderr
    (folder / "src" / "licet" / "web" / "static" / "vendor" / Path(inside).name).unlink()
    (environment / "bin" / "pip").touch()  # what installs is the environment's python, which here only says so
    done = say([folder / "licet", "up"], UV_OFFLINE="1")
    assert "installing" in done.stderr
    assert "-m\npip\ninstall" in done.stdout


def test_a_checkout_that_cannot_be_written_is_said(checkout: Callable[[str], Path]) -> None:
    folder = checkout("licet")
    vendor = folder / "src" / "licet" / "web" / "static" / "vendor"
    shutil.rmtree(vendor)
    vendor.touch()  # nothing can be put into it, not even by root
    done = say([folder / "licet", "up"])
    assert done.returncode == 1
    assert "let the owner of this checkout run ./licet once" in done.stderr


def test_a_link_to_it_finds_its_checkout(checkout: Callable[[str], Path], tmp_path: Path) -> None:
    folder = checkout("licet")
    (tmp_path / "link").symlink_to(folder / "licet")
    assert say([tmp_path / "link", "up"]).stdout == say([folder / "licet", "up"]).stdout


def test_two_copies_have_nothing_in_common(checkout: Callable[[str], Path]) -> None:
    one, other = checkout("one/licet"), checkout("other/licet")
    assert say([one / "licet"]).stdout.splitlines()[0] != say([other / "licet"]).stdout.splitlines()[0]


@pytest.mark.parametrize("python", [None, "#!/bin/sh\nexit 1\n"])
def test_without_a_python_that_is_new_enough_it_says_what_is_missing(
    checkout: Callable[[str], Path], tmp_path: Path, python: str | None
) -> None:
    folder = checkout("licet")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "dirname", "readlink", "id", "basename", "sha256sum", "cut", "cat", "setpriv", "flock"):
        (tools / tool).symlink_to(shutil.which(tool) or "")
    if python is not None:
        (tools / "python3").write_text(python)
        (tools / "python3").chmod(0o755)
    done = say([folder / "licet", "up"], PATH=str(tools))
    assert done.returncode == 1
    assert "python3, 3.11 or later, is not on this machine" in done.stderr


def test_it_is_plain_posix_shell() -> None:
    assert (ROOT / "licet").read_text().startswith("#!/bin/sh\n")
    assert subprocess.run(["sh", "-n", str(ROOT / "licet")]).returncode == 0
    assert os.access(ROOT / "licet", os.X_OK)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_static_files_are_only_taken_with_the_bytes_we_know(tmp_path: Path) -> None:
    unpacked, vendor = tmp_path / "unpacked", tmp_path / "vendor"
    for inside in static_files.FILES:
        (unpacked / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(static_files.VENDOR / Path(inside).name, unpacked / inside)
    static_files.copy_from(unpacked, vendor)
    assert static_files.are_there(vendor)
    last = list(static_files.FILES)[-1]
    (unpacked / last).write_text("alert(1)")
    with pytest.raises(ValueError, match="checksum"):
        static_files.copy_from(unpacked, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    (vendor / Path(last).name).write_text("alert(1)")
    assert not static_files.are_there(vendor)


def test_the_locks_name_no_index_and_a_checksum_for_every_package() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "://" not in text
        assert text.count("==") - text.count("# via") <= text.count("--hash=sha256:")
        packages = [line for line in text.splitlines() if line and line[0] not in " #"]
        assert packages
        assert all("==" in line and line.endswith("\\") for line in packages)


def test_this_python_is_one_that_the_project_is_for() -> None:
    assert sys.version_info >= (3, 11)
