"""Fetching pip's own wheel where there is none: from the index that pip is told of, and only with the right bytes."""

import hashlib
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from licet.run.fetch_pip import DEFAULT_INDEX, fetch, indexes, told_to_pip

WHEEL = b"a wheel, as far as a checksum can tell"
NAME = "pip-26.3-py3-none-any.whl"
LOCKED = f"pip==26.3 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{hashlib.sha256(WHEEL).hexdigest()}\n"
PAGE = f"""<!DOCTYPE html><html><body><a href="../../files/pip-9.0.whl">pip-9.0.whl</a>
<a href="../../files/{NAME}#sha256=whatever" data-requires-python="&gt;=3.9">{NAME}</a></body></html>"""


class Index(ThreadingHTTPServer):
    """A package index on this machine that remembers what it was shown."""

    wheel = WHEEL

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.shown: list[str | None] = []


class Answers(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.shown.append(self.headers["Authorization"])
        pages = {"/simple/pip/": PAGE.encode(), f"/files/{NAME}": self.server.wheel}
        content = pages.get(self.path)
        self.send_response(404 if content is None else 200)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Nobody reads it."""


@pytest.fixture
def index() -> Iterator[Index]:
    with Index() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def simple(index: Index, who: str = "") -> str:
    return f"http://{who}127.0.0.1:{index.server_port}/simple"


def test_the_wheel_is_found_and_kept(index: Index, tmp_path: Path) -> None:
    wheel = fetch(LOCKED, tmp_path / "new", {"index_url": simple(index) + "/"})
    assert wheel == tmp_path / "new" / NAME
    assert wheel.read_bytes() == WHEEL


def test_other_bytes_are_refused(index: Index, tmp_path: Path) -> None:
    index.wheel = WHEEL + b"!"
    with pytest.raises(LookupError, match="checksum"):
        fetch(LOCKED, tmp_path, {"index_url": simple(index)})
    assert not list(tmp_path.iterdir())


def test_an_index_without_it_leaves_it_to_the_next(index: Index, tmp_path: Path) -> None:
    told = {"index_url": simple(index).replace("simple", "empty"), "extra_index_url": simple(index)}
    assert fetch(LOCKED, tmp_path, told).read_bytes() == WHEEL


def test_an_index_in_a_folder_will_do(tmp_path: Path) -> None:
    (tmp_path / "simple" / "pip").mkdir(parents=True)
    (tmp_path / "simple" / "pip" / "index.html").write_text(PAGE)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / NAME).write_bytes(WHEEL)
    told = {"index_url": (tmp_path / "simple").as_uri()}
    assert fetch(LOCKED, tmp_path / "kept", told).read_bytes() == WHEEL


def test_a_password_in_the_address_is_shown_to_the_index_and_to_nobody_else(index: Index, tmp_path: Path) -> None:
    fetch(LOCKED, tmp_path, {"index_url": simple(index, "user:p%40ss@")})
    assert index.shown[0] == "Basic " + b64encode(b"user:p@ss").decode()
    with pytest.raises(LookupError) as refused:
        fetch(LOCKED, tmp_path, {"index_url": simple(index, "user:p%40ss@").replace("simple", "empty")})
    assert "p%40ss" not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)


def test_it_looks_where_pip_is_told_to(tmp_path: Path) -> None:
    for folder, text in {
        "etc/pip": "[global]\nno-such-option = a\n",
        "home/.config/pip": "[global]\nindex-url = https://a.example/simple\n"
        "extra-index-url =\n  https://b.example/simple\n  https://c.example/simple\n",
        "own": "[install]\nindex_url = https://d.example/simple\n",
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pip.conf").write_text(text)
    environment = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "etc")}
    told = told_to_pip(environment)
    extra = ["https://b.example/simple", "https://c.example/simple"]
    assert indexes(told) == ["https://a.example/simple", *extra]
    assert told["no_such_option"] == "a"
    own = environment | {"PIP_CONFIG_FILE": str(tmp_path / "own" / "pip.conf")}
    assert indexes(told_to_pip(own)) == ["https://d.example/simple", *extra]
    assert indexes(told_to_pip(own | {"PIP_INDEX_URL": "https://e.example"})) == ["https://e.example", *extra]
    assert indexes({}) == [DEFAULT_INDEX]
