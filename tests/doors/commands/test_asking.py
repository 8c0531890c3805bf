"""Which licet a command asks and with which token; and what it does when answers are late, lost, or somebody else's."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doors.commands.conftest import Sold
from doors.commands.terminal import Terminal

from licet.run.api_client import Answer


class Wire(socketserver.ThreadingTCPServer):
    """Stands between a command and licet. Brings every request there, and loses the first answers on the way back."""

    daemon_threads = True

    def __init__(self, there: tuple[str, int], *, loses: int) -> None:
        super().__init__(("127.0.0.1", 0), _Carrier)
        self.there = there
        self.loses = loses
        self.asked: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, request: bytes) -> bytes:
        """What is sent back; nothing, where it was lost."""
        with socket.create_connection(self.there, timeout=30) as licet:
            licet.sendall(request.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n", 1))
            answer = b"".join(iter(lambda: licet.recv(65536), b""))
        if self.loses > 0:
            self.loses -= 1
            return b""
        return answer


class Other(Wire):
    """Something else that answers there, always the same."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(("127.0.0.1", 0), loses=0)
        self._answer = answer

    def answer(self, request: bytes) -> bytes:
        return self._answer


class _Carrier(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += self.request.recv(65536)
        head, _, body = request.partition(b"\r\n\r\n")
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while length and len(body) < int(length[0].partition(b":")[2]):
            body += self.request.recv(65536)
        assert isinstance(self.server, Wire)
        self.server.asked.append(head)
        self.request.sendall(self.server.answer(head + b"\r\n\r\n" + body))


@pytest.fixture
def between() -> Iterator[Callable[[Wire], Wire]]:
    """Let something answer while a test runs."""
    opened: list[Wire] = []

    def open_(wire: Wire) -> Wire:
        opened.append(wire)
        threading.Thread(target=wire.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return wire

    yield open_
    for wire in opened:
        wire.shutdown()
        wire.server_close()


@pytest.fixture
def lossy(licet: Terminal, between: Callable[[Wire], Wire]) -> Callable[[int], tuple[Terminal, Wire]]:
    """A terminal whose first answers are lost."""
    host, _, port = licet.running["url"].removeprefix("http://").partition(":")

    def lose(answers: int) -> tuple[Terminal, Wire]:
        wire = between(Wire((host, int(port)), loses=answers))
        return Terminal(licet.data, {"url": wire.url, "token": licet.running["token"]}), wire

    return lose


def keys(wire: Wire) -> list[bytes]:
    return [line for head in wire.asked for line in head.split(b"\r\n") if line.startswith(b"Idempotency-Key:")]


def test_an_answer_that_is_lost_is_asked_for_again_and_the_thing_is_done_once(
    licet: Terminal, lossy: Callable[[int], tuple[Terminal, Wire]], sold: Sold
) -> None:
    far, wire = lossy(1)
    assert far("assign", sold.product_key, sold.package, "5").facts["quantity"] == "5"
    assert len(keys(wire)) == 2
    assert len(set(keys(wire))) == 1
    assert licet("products", "show", sold.product_key).facts["Total"] == "25"


def test_when_every_answer_is_lost_the_same_command_can_be_given_again(
    licet: Terminal, lossy: Callable[[int], tuple[Terminal, Wire]], sold: Sold
) -> None:
    far, wire = lossy(3)
    words = ["assign", sold.product_key, sold.package, "5"]
    lost = far(*words)
    assert lost.status == 1
    assert "nobody knows whether this was done" in lost.err
    key = keys(wire)[0].split()[1].decode()
    assert f"--key {key}:" in lost.err
    again = licet(*words, "--key", key)
    assert again.facts["quantity"] == "5"
    assert licet("products", "show", sold.product_key).facts["Total"] == "25"
    other = licet("assign", sold.product_key, sold.package, "6", "--key", key)
    assert other.status == 1
    assert "used for another request" in other.err


def test_reading_is_tried_again_and_deleting_is_not(
    lossy: Callable[[int], tuple[Terminal, Wire]], licet: Terminal, sold: Sold
) -> None:
    far, _ = lossy(1)
    assert far("products", "show", sold.product_key).facts["name"] == "Thermostat"
    far, wire = lossy(1)
    lost = far("products", "delete", sold.product_key, "--yes")
    assert (lost.status, len(wire.asked)) == (1, 1)
    assert "Look, and give the command again if it was not." in lost.err
    assert licet("products", "show", sold.product_key).status == 1


@pytest.mark.parametrize(
    ("answer", "said", "times"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "not as licet does", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html", "not as licet does", 1),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "answers 404, and not as licet does", 1),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n{}", "answers 400, and not as licet does", 1),
        (b"HTTP/1.1 302 Found\r\nLocation: http://mallory.example/\r\nContent-Length: 0\r\n\r\n", "answers 302", 1),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "answers 503", 3),
        (b"SSH-2.0-OpenSSH\r\n", "No answer came", 3),
    ],
)
def test_who_is_not_licet_is_not_understood(
    licet: Terminal, between: Callable[[Wire], Wire], answer: bytes, said: str, times: int
) -> None:
    other = between(Other(answer))
    refused = licet("accounts", "list", url=other.url, token="licet_token")
    assert (refused.status, refused.out) == (1, "")
    assert said in refused.err
    assert len(other.asked) == times


def test_the_token_of_this_machine_is_shown_to_no_other_licet(licet: Terminal, between: Callable[[Wire], Wire]) -> None:
    other = between(Other(b""))
    refused = licet("accounts", "list", "--url", other.url)
    assert refused.status == 2
    assert refused.err == f"Set LICET_TOKEN, or LICET_TOKEN_FILE, to a token of {other.url}.\n"
    assert other.asked == []
    assert licet("accounts", "list", "--url", licet.running["url"] + "/").status == 0


def test_a_token_may_lie_in_a_file(licet: Terminal, tmp_path: Path, sold: Sold) -> None:
    (tmp_path / "token").write_text(licet.running["token"] + "\n")
    elsewhere = Terminal(tmp_path / "nowhere", {"url": licet.running["url"], "token_file": str(tmp_path / "token")})
    assert elsewhere("products", "show", sold.product_key).status == 0
    assert not (tmp_path / "nowhere").exists()


def test_where_nothing_runs_that_is_said(tmp_path: Path) -> None:
    nothing = Terminal(tmp_path)("accounts", "list")
    assert nothing.status == 1
    assert nothing.err.startswith(f"licet does not run on {tmp_path}: start it with ./licet up")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        nobody = Terminal(tmp_path)("accounts", "list", url=url, token="licet_token")
    assert (nobody.status, nobody.err) == (1, f"Nobody answers at {url}. Is licet running there?\n")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "licet.example"}, "url: 'licet.example' (LICET_URL) is not it"),
        ({"url": "ftp://licet.example"}, "an address like https://licet.example"),
        ({"url": "http://licet.example:x"}, "an address like https://licet.example"),
        ({"url": "http://user:word@licet.example"}, "an address like https://licet.example"),
        ({"url": "http://licet.example", "token": "two words"}, "Set LICET_TOKEN"),
    ],
)
def test_what_cannot_be_an_address_or_a_token_is_not_asked(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    refused = Terminal(tmp_path, settings)("accounts", "list")
    assert refused.status == 2
    assert said in refused.err


def test_answers_put_together_read_as_one_of_licet_s() -> None:
    assert (
        Answer.of({"data": [{"name": "Tür"}], "next_cursor": None}).text
        == '{"data":[{"name":"Tür"}],"next_cursor":null}'
    )


@pytest.mark.parametrize(
    ("content", "imported"),
    [
        ("thermo1\nthermo2,s3cret-s3cret\n", ["thermo1", "thermo2"]),
        ("\ufeffdevice_key\r\nthermo1\r\n\r\nthermo2\r\n", ["thermo1", "thermo2"]),
        ('virtual,device_key\nno,"thermo1"\nyes, thermo2 \n', ["thermo1", "thermo2"]),
        ("\n".join(f"dev{number:05}" for number in range(10_001)), None),
    ],
)
def test_files_are_imported(
    licet: Terminal, sold: Sold, tmp_path: Path, content: str, imported: list[str] | None
) -> None:
    """Rules C3, C5 and C7 as a file says them."""
    (tmp_path / "devices.csv").write_text(content, "utf-8")
    data = licet("devices", "import", sold.product_key, str(tmp_path / "devices.csv"), "--json").json["data"]
    assert [each["device_key"] for each in data] == (imported or content.split("\n"))
    if "s3cret" in content:
        assert data[1]["device_secret"] == "s3cret-s3cret"
    if "virtual" in content:
        assert licet("devices", "show", sold.product_key, "thermo2").facts["virtual"] == "yes"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "has no devices; nothing was imported."),
        ("device_key,device_secret\n", "has no devices"),
        ("thermo1\nno!\nthermo3\nx\n", "has 2 lines that are wrong; nothing was imported.\n  line 2: a device key is"),
        ("thermo1,short\n", "line 1: a device secret is 8 to 128"),
        ("thermo1,s3cret-s3cret,perhaps\n", "line 1: virtual is yes or no"),
        ("thermo1,s3cret-s3cret,no,more\n", "line 1: 4 cells, and only 3 columns"),
        ("device_key,colour\nthermo1,red\n", "has the columns colour; known are device_key, device_secret, virtual."),
        ("\n".join("x" * 30), "  and 10 more"),
        ('"thermo1\n', "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_file_with_something_wrong_in_it_is_not_imported_at_all(
    licet: Terminal, sold: Sold, tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "devices.csv").write_text(content)
    refused = licet("devices", "import", sold.product_key, str(tmp_path / "devices.csv"))
    assert (refused.status, refused.out) == (2, "")
    assert said in refused.err
    assert licet("devices", "list", "--product", sold.product_key).rows == []
