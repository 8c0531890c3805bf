"""`licet doctor`: what it says of engines that are there, of others that are not, and of keys that cannot be read."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from licet.run import doctor, key_file, run_file
from licet.run.config import Settings, resolve
from licet.run.nats_engine import Nats


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(**said: Any) -> Settings:
        return resolve(
            {"data": str(tmp_path / "data")}, {f"LICET_{key.upper()}": value for key, value in said.items()}
        ).settings

    return make


def test_before_the_first_start_it_looks_at_the_programs(
    settings: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.main(settings()) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3
    assert all(line.startswith("ok ") for line in said)
    assert "(PostgreSQL) 18" in said[0]


def test_engines_that_answer_are_well(
    settings: Callable[..., Settings],
    database_url: str,
    start_nats: Callable[..., Nats],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert doctor.main(settings(database_url=database_url, nats_url=start_nats().url)) == 0
    said = capsys.readouterr().out
    assert "PostgreSQL 18." in said
    assert "15 or later is needed" in said
    assert "2.11 or later is needed" in said
    assert "JetStream" in said


def test_engines_that_do_not_answer_are_named(
    settings: Callable[..., Settings], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = f"postgresql://licet@/licet?host={tmp_path}"
    assert doctor.main(settings(database_url=nobody, nats_url="nats://127.0.0.1:1")) == 1
    said = capsys.readouterr().out
    assert "WRONG PostgreSQL cannot be reached" in said
    assert "WRONG NATS does not answer at 127.0.0.1:1" in said


def test_another_server_program_that_does_not_run_is_named(
    settings: Callable[..., Settings], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.main(settings(nats_server=str(tmp_path / "none"))) == 1
    assert "does not run" in capsys.readouterr().out


def test_a_running_up_is_asked_where_its_engines_are(
    settings: Callable[..., Settings],
    database_url: str,
    start_nats: Callable[..., Nats],
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = settings()
    said.data.mkdir()
    running = run_file.Running(
        url="", public_url="", token="", mqtt_host="", mqtt_port=1, database_url=database_url, nats_url=start_nats().url
    )
    run_file.write(said.data, running, {"supervisor": os.getpid()})
    assert doctor.main(said) == 0
    assert "licet runs here" in capsys.readouterr().out
    run_file.remove(said.data)
    assert run_file.read(said.data) is None


def test_one_that_was_killed_is_told_from_one_that_runs(
    settings: Callable[..., Settings], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = settings()
    said.data.mkdir()
    nobody = f"postgresql://licet@/licet?host={tmp_path}"
    killed = run_file.Running(
        url="", public_url="", token="", mqtt_host="", mqtt_port=1, database_url=nobody, nats_url="nats://127.0.0.1:1"
    )
    ended = subprocess.Popen(["true"])
    ended.wait()
    run_file.write(said.data, killed, {"supervisor": ended.pid})
    assert doctor.main(said) == 1
    found = capsys.readouterr().out.splitlines()
    assert found[0].startswith("WRONG licet did not end in order here")
    assert not [line for line in found[1:] if line.startswith("WRONG")]


def test_keys_that_are_lost_or_open_to_others_are_named(
    settings: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    said = settings()
    (said.data / "postgres").mkdir(parents=True)
    assert doctor.main(said) == 1
    assert "without it no secret in the books can be opened" in capsys.readouterr().out
    key_file.make(said.key_file)
    assert doctor.main(said) == 0
    said.key_file.chmod(0o644)
    assert doctor.main(said) == 1
    said.key_file.write_text("{}")
    assert doctor.main(said) == 1
    assert "is not a key file" in capsys.readouterr().out


def test_keys_are_made_once_added_to_and_dropped(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key_file.make(path)
    first = path.read_text()
    key_file.make(path)
    assert path.read_text() == first
    sealed = key_file.load(path).seal("secret", "PK/DK")
    assert key_file.add_key(path) == 2
    ring = key_file.load(path)
    assert ring.open(sealed, "PK/DK") == "secret"
    again = ring.seal("secret", "PK/DK")
    key_file.drop_old_keys(path)
    assert key_file.load(path).open(again, "PK/DK") == "secret"
    with pytest.raises(ValueError, match="no key 1"):
        key_file.load(path).open(sealed, "PK/DK")
    assert path.stat().st_mode & 0o777 == 0o600
