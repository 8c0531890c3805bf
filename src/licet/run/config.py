"""Every setting, once: the flags, the environment, the file, the page of the manual and the types all follow from here.

A flag wins over the environment, the environment over `licet.toml` in the data folder, and that over the default.
Whatever is not in the table is refused: a setting that is misspelt must not be a setting that is ignored.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from licet.run.clock import instant
from licet.run.places import state_folder
from licet.units import Term

PREFIX = "LICET_"
FILE_NAME = "licet.toml"


class SettingsError(ValueError):
    """What somebody set cannot be meant; the sentence says what and where."""


def _port(text: str) -> int:
    return _number(text, 0, 65535)


def _count(text: str) -> int:
    return _number(text, 0, 1_000_000)


def _some(text: str) -> int:
    return _number(text, 1, 1_000_000)


def _number(text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"\d{1,7}", text, re.ASCII) or not least <= int(text) <= most:
        raise ValueError(f"a whole number from {least} to {most}")
    return int(text)


def _maybe_seconds(text: str) -> float | None:
    return float(text) if text else None


def _maybe_number(text: str) -> int | None:
    return _count(text) if text else None


def _term(text: str) -> str:
    return str(Term.parse(text))


def _level(text: str) -> str:
    levels = ("debug", "info", "warning", "error")
    if text.lower() not in levels:
        raise ValueError(f"one of {', '.join(levels)}")
    return text.lower()


def _sync(text: str) -> str:
    if text != "always" and not re.fullmatch(r"\d{1,6}(ms|s|m|h)", text, re.ASCII):
        raise ValueError("a span like 500ms, 10s or 2m, or the word always")
    return text


def _place(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _maybe_place(text: str) -> Path | None:
    return _place(text) if text else None


def _maybe_instant(text: str) -> datetime | None:
    return instant(text) if text else None


def _url(text: str) -> str:
    if text and (not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", text) or not _has_port(text)):
        raise ValueError("an address like https://licet.example")
    return text.rstrip("/")


def _has_port(url: str) -> bool:
    """A port that is none is noticed only when it is asked for."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _center(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", text, re.ASCII):
        raise ValueError("1 to 32 lower-case letters, digits and hyphens")
    return text


def setting(
    default: str,
    text: str,
    *,
    unit: str = "",
    read: Callable[[str], Any] = str,
    secret: bool = False,
    hidden: bool = False,
) -> Any:
    """One row of the table."""
    return field(
        metadata={"default": default, "help": text, "unit": unit, "read": read, "secret": secret, "hidden": hidden}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The table: a field is a setting. An empty text means that it is not set."""

    data: Path = setting(
        "", "Everything licet keeps on this machine; if not set, a place for each checkout.", unit="folder", read=_place
    )
    host: str = setting("127.0.0.1", "Where HTTP, MQTT and NATS listen.", unit="address")
    http_port: int = setting("8080", "Console and API. Taken: the next free one.", unit="port", read=_port)
    mqtt_port: int = setting("1883", "Devices. Taken: the next free one.", unit="port", read=_port)
    nats_port: int = setting("4222", "Between licet and NATS. Taken: the next free one.", unit="port", read=_port)
    processes: int = setting("1", "How many licet processes share the work.", unit="processes", read=_some)
    public_url: str = setting("", "How people reach the console, if it is not where it listens.", unit="URL")
    url: str = setting(
        "", "The licet that commands ask; if not set, the one that runs on the data folder.", unit="URL", read=_url
    )
    token: str = setting(
        "", "What commands show to it; if not set, the operator's of the data folder, for that licet only.", secret=True
    )
    data_center: str = setting("local", "The name of this installation; each account has one home.", read=_center)
    database_url: str = setting(
        "", "A PostgreSQL of your own, 15 or later; if not set, licet runs one.", unit="URL", secret=True
    )
    nats_url: str = setting("", "A nats-server of your own, 2.11 or later; if not set, licet runs one.", unit="URL")
    nats_server: Path | None = setting(
        "", "Another nats-server program than the one that came along.", unit="file", read=_maybe_place
    )
    nats_password: str = setting("", "What licet shows to NATS; if not set, made at the first start.", secret=True)
    broker_seed: str = setting(
        "", "Signs what NATS is told about devices; if not set, made at the first start.", secret=True
    )
    key_file: Path = setting(
        "", "The keys that secrets are sealed with; if not set, keys.json in the data folder.", unit="file", read=_place
    )
    sync_interval: str = setting("2m", "How much stored data a loss of power may cost.", unit="span", read=_sync)
    admit_batch: int = setting("500", "The most devices admitted in one round trip.", unit="devices", read=_some)
    sweep_seconds: int = setting("30", "How often what time has made true is written down.", unit="seconds", read=_some)
    free_codes_enterprise: int = setting("10", "What a new enterprise is given.", unit="codes", read=_count)
    free_codes_individual: int = setting("5", "What a new individual is given.", unit="codes", read=_count)
    free_codes_term: str = setting("P1Y", "How long a code that was given is valid.", unit="term", read=_term)
    firmware_folder: Path = setting(
        "",
        "Files that devices are upgraded with; if not set, firmware in the data folder. All processes share it.",
        unit="folder",
        read=_place,
    )
    firmware_mib: int = setting("64", "The largest file that devices are upgraded with.", unit="MiB", read=_some)
    session_hours: int = setting("12", "How long somebody stays signed in.", unit="hours", read=_some)
    log_level: str = setting("info", "The least that is logged: debug, info, warning or error.", read=_level)
    now: datetime | None = setting("", "The instant at which this process starts.", read=_maybe_instant, hidden=True)
    now_began: float | None = setting(
        "", "What the machine's clock said at that instant.", read=_maybe_seconds, hidden=True
    )
    http_fd: int | None = setting("", "The socket that the supervisor hands down.", read=_maybe_number, hidden=True)

    def environment(self) -> dict[str, str]:
        """What a child needs in its environment to have the same settings."""
        said = {row.variable: as_text(getattr(self, row.name)) for row in TABLE}
        return {variable: text for variable, text in said.items() if text}


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table, as it is shown and read."""

    name: str
    default: str
    unit: str
    help: str
    secret: bool
    hidden: bool
    read: Callable[[str], Any]

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """Its name on the command line. A secret has none: everybody on a machine can read its command lines."""
        return "--" + self.name.replace("_", "-")


def _row(entry: Field[Any]) -> Setting:
    return Setting(name=entry.name, **entry.metadata)


TABLE: tuple[Setting, ...] = tuple(_row(entry) for entry in fields(Settings))
_BY_NAME = {row.name: row for row in TABLE}


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings of a process, and for each where it came from."""

    settings: Settings
    sources: Mapping[str, str]


def resolve(flags: Mapping[str, str | None], environment: Mapping[str, str] | None = None) -> Resolved:
    """Read all settings. Raises SettingsError for a name that is not in the table and a value that cannot be meant."""
    environment = os.environ if environment is None else environment
    said = {row.name: (row.default, "default") for row in TABLE}
    said["data"] = (str(state_folder() / "data"), "default")
    from_environment = _from_environment(environment)
    from_flags = {name: (text, _BY_NAME[name].flag) for name, text in flags.items() if text is not None}
    data = _place((said | from_environment | from_flags)["data"][0])
    said |= {"key_file": (str(data / "keys.json"), "default")}
    said |= {"firmware_folder": (str(data / "firmware"), "default")}
    said |= _from_file(data / FILE_NAME) | from_environment | from_flags
    values = {name: _read(_BY_NAME[name], text, source) for name, (text, source) in said.items()}
    return Resolved(Settings(**values), {name: source for name, (_, source) in said.items()})


def as_text(value: object) -> str:
    """A setting's value as one would write it."""
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _read(row: Setting, text: str, source: str) -> Any:
    try:
        return row.read(text)
    except ValueError as error:
        shown = "what is set" if row.secret else repr(text)
        raise SettingsError(f"{row.name}: {shown} ({source}) is not it; expected: {error}") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    said: dict[str, tuple[str, str]] = {}
    secret_files = {f"{row.variable}_FILE": row for row in TABLE if row.secret}
    variables = {row.variable: row for row in TABLE}
    for key in sorted(key for key in environment if key.startswith(PREFIX)):
        if row := variables.get(key):
            text = environment[key]
        elif row := secret_files.get(key):
            if row.variable in environment:
                raise SettingsError(f"{row.variable} and {key} are both set; which one is meant?")
            text = _content(Path(environment[key]), key)
        else:
            raise SettingsError(f"{key} is not a setting; `licet settings` lists them all")
        said[row.name] = (text, key)
    return said


def _from_file(path: Path) -> dict[str, tuple[str, str]]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    said: dict[str, tuple[str, str]] = {}
    for name, value in found.items():
        if name == "data":
            raise SettingsError(f"{path} lies in the data folder and cannot say where that is")
        if name not in _BY_NAME:
            raise SettingsError(f"{path}: {name} is not a setting; `licet settings` lists them all")
        if not isinstance(value, str | int | datetime) or isinstance(value, bool):
            raise SettingsError(f"{path}: {name} must be a text or a whole number")
        said[name] = (as_text(value), str(path))
    return said


def _content(path: Path, key: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{key}: {path} cannot be read: {error}") from None
