"""Fetch pip's own wheel on a machine that has no pip, from wherever pip would be told to look, and check its bytes.

The launcher runs this file with the system's Python, so it needs nothing but the standard library:
`python3 fetch_pip.py requirements/pip.txt FOLDER` prints where the wheel lies.
"""

import base64
import configparser
import hashlib
import os
import re
import ssl
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

# Where pip looks when nobody has told it anything else: the index of this name. pip could say so, if it were there.
INDEX = "PyPI"
DEFAULT_INDEX = f"https://{INDEX.lower()}.org/simple"


def fetch(locked: str, folder: Path, told: Mapping[str, str]) -> Path:
    """The wheel that the lock file names, found on any index that pip is told of. Raises LookupError if on none."""
    name, hashes = _locked(locked)
    problems = []
    for index in indexes(told):
        try:
            for url in _links(index.rstrip("/") + "/pip/", told):
                if unquote(urlsplit(url).path).endswith("/" + name):
                    return _kept(_read(url, told), name, hashes, folder)
            problems.append(f"{_public(index)} has no {name}")
        except (OSError, ValueError) as error:
            problems.append(f"{_public(index)}: {error}")
    raise LookupError("; ".join(problems))


def told_to_pip(environment: Mapping[str, str]) -> dict[str, str]:
    """What pip's configuration files and environment say; later ones win, the environment last."""
    told: dict[str, str] = {}
    for path in _config_files(environment):
        parser = configparser.RawConfigParser()
        parser.read(path, encoding="utf-8")
        for section in ("global", "install"):
            if parser.has_section(section):
                told.update({key.replace("-", "_"): value for key, value in parser.items(section)})
    said = {key[4:].lower(): value for key, value in environment.items() if key.startswith("PIP_")}
    return told | {key: value for key, value in said.items() if value}


def indexes(told: Mapping[str, str]) -> list[str]:
    """Every index that pip would ask, in its order."""
    return [told.get("index_url", DEFAULT_INDEX), *told.get("extra_index_url", "").split()]


def _config_files(environment: Mapping[str, str]) -> Iterator[str]:
    home = environment.get("HOME") or str(Path("~").expanduser())
    for folder in reversed((environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")):
        yield f"{folder}/pip/pip.conf"
    yield "/etc/pip.conf"
    yield f"{home}/.pip/pip.conf"
    yield f"{environment.get('XDG_CONFIG_HOME') or home + '/.config'}/pip/pip.conf"
    if "PIP_CONFIG_FILE" in environment:
        yield environment["PIP_CONFIG_FILE"]


def _locked(text: str) -> tuple[str, set[str]]:
    version = re.search(r"^pip==(\S+)", text, re.MULTILINE)
    if version is None:
        raise ValueError("the lock file names no pip")
    return f"pip-{version[1]}-py3-none-any.whl", set(re.findall(r"--hash=sha256:([0-9a-f]{64})", text))


def _links(page: str, told: Mapping[str, str]) -> list[str]:
    found: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "a" and (href := dict(attrs).get("href")):
                found.append(urldefrag(urljoin(page, href)).url)

    where = page + "index.html" if page.startswith("file:") else page
    Links().feed(_read(where, told).decode("utf-8", "replace"))
    return found


def _read(url: str, told: Mapping[str, str]) -> bytes:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http", "file"):
        raise ValueError(f"{parts.scheme}: is no scheme to fetch by")
    request = urllib.request.Request(_public(url), headers={"Accept": "text/html, */*"})  # noqa: S310
    if parts.username is not None:
        said = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(said.encode()).decode())
    context = ssl.create_default_context(cafile=told.get("cert") or None)
    if parts.hostname in {host.partition(":")[0] for host in told.get("trusted_host", "").split()}:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # The owner of this machine said so; the checksum is still compared.
    with urllib.request.urlopen(request, timeout=60, context=context) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def _kept(content: bytes, name: str, hashes: set[str], folder: Path) -> Path:
    if hashlib.sha256(content).hexdigest() not in hashes:
        raise ValueError(f"{name} is not the file whose checksum is locked")
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / name
    wheel.write_bytes(content)
    return wheel


def _public(url: str) -> str:
    """An address without the password that may stand in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


if __name__ == "__main__":
    try:
        print(fetch(Path(sys.argv[1]).read_text(encoding="utf-8"), Path(sys.argv[2]), told_to_pip(os.environ)))
    except (LookupError, ValueError) as error:
        sys.exit(f"pip cannot be fetched: {error}")
