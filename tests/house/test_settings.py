"""One table of settings: what is said where, what wins, and what is refused."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from licet.run.config import TABLE, Settings, SettingsError, resolve
from licet.run.settings_page import listed, manual_page

ROOT = Path(__file__).parents[2]


def test_the_manual_says_what_the_table_says() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == manual_page(), (
        "run: ./licet settings --page > docs/settings.md"
    )


def test_every_setting_is_read_by_somebody() -> None:
    source = "\n".join(
        path.read_text() for path in (ROOT / "src").rglob("*.py") if path.name not in ("config.py", "settings_page.py")
    )
    assert [row.name for row in TABLE if not re.search(rf"settings\.{row.name}\b", source)] == []


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "licet.toml").write_text('http_port = 1\nmqtt_port = 1\nhost = "file.example"\n')
    said = resolve(
        {"http_port": "3", "host": None},
        {"LICET_DATA": str(tmp_path), "LICET_HTTP_PORT": "2", "LICET_MQTT_PORT": "2", "PATH": "/bin"},
    )
    settings, sources = said.settings, said.sources
    assert (settings.http_port, settings.mqtt_port, settings.host, settings.nats_port) == (3, 2, "file.example", 4222)
    assert sources["http_port"] == "--http-port"
    assert sources["mqtt_port"] == "LICET_MQTT_PORT"
    assert sources["host"] == str(tmp_path / "licet.toml")
    assert sources["nats_port"] == "default"
    assert settings.key_file == tmp_path / "keys.json"


def test_a_child_with_our_environment_has_our_settings(tmp_path: Path) -> None:
    flags = {"data": str(tmp_path), "now": "2026-02-01T09:00:00+01:00", "free_codes_term": "P12M", "processes": "2"}
    settings = resolve(flags, {}).settings
    assert settings.now == datetime(2026, 2, 1, 8, tzinfo=UTC)
    assert settings.free_codes_term == "P1Y"
    assert resolve({}, settings.environment()).settings == settings


def test_a_secret_may_lie_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://u:hush@/licet\n")
    said = resolve({"data": str(tmp_path)}, {"LICET_DATABASE_URL_FILE": str(tmp_path / "url")})
    assert said.settings.database_url == "postgresql://u:hush@/licet"
    shown = {name: (value, source) for name, value, source in listed(said)}
    assert shown["database_url"] == ("••••••", "LICET_DATABASE_URL_FILE")
    assert shown["broker_seed"] == ("", "default")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"LICET_HTTP_PROT": "1"}, "LICET_HTTP_PROT is not a setting"),
        ({"LICET_HOST_FILE": "/x"}, "LICET_HOST_FILE is not a setting"),
        ({"LICET_NATS_PASSWORD": "a", "LICET_NATS_PASSWORD_FILE": "/x"}, "both set"),
        ({"LICET_NATS_PASSWORD_FILE": "/nowhere/at/all"}, "cannot be read"),
        ({"LICET_HTTP_PORT": "70000"}, r"http_port: '70000' \(LICET_HTTP_PORT\) .* a whole number from 0 to 65535"),
        ({"LICET_HTTP_PORT": "-1"}, "http_port"),
        ({"LICET_PROCESSES": "0"}, "from 1"),
        ({"LICET_PROCESSES": "two"}, "whole number"),
        ({"LICET_FREE_CODES_TERM": "1 year"}, "P5Y"),
        ({"LICET_LOG_LEVEL": "loud"}, "one of debug"),
        ({"LICET_SYNC_INTERVAL": "soon"}, "always"),
        ({"LICET_NOW": "2026-02-01T08:00:00"}, "zone"),
        ({"LICET_DATA_CENTER": "Über"}, "lower-case"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        resolve({"data": str(tmp_path)}, environment)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("htp_port = 1", "htp_port is not a setting"),
        ('data = "/x"', "cannot say where that is"),
        ("http_port = true", "a text or a whole number"),
        ("http_port = [1]", "a text or a whole number"),
        ("http_port = ", "cannot be read"),
        ("http_port = 99999", "licet.toml"),
    ],
)
def test_a_file_with_something_else_in_it_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "licet.toml").write_text(text)
    with pytest.raises(SettingsError, match=sentence):
        resolve({"data": str(tmp_path)}, {})


def test_the_command_line_refuses_in_one_line(tmp_path: Path) -> None:
    environment = {
        "PYTHONPATH": str(ROOT / "src"),
        "LICET_DATA": str(tmp_path),
        "LICET_TYPO": "1",
        "HOME": str(tmp_path),
    }
    command = [sys.executable, "-m", "licet.run.cli", "settings"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip() == "LICET_TYPO is not a setting; `licet settings` lists them all"


def test_settings_are_the_same_in_class_and_table() -> None:
    assert [row.name for row in TABLE] == list(Settings.__dataclass_fields__)
    assert all(row.help.endswith(".") for row in TABLE)
