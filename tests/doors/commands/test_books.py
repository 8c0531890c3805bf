"""Commands that work on the books themselves: explain, sweep, link, and the keys that secrets are sealed with."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from doors.commands.conftest import Sold
from doors.commands.terminal import Terminal

from licet import enrol
from licet.accounts import PLATFORM, FreeCodes, Kind, Mode
from licet.admit import admit
from licet.assign import assign
from licet.packages import Allowance
from licet.postgres import lots
from licet.postgres.books import Books
from licet.products import Imported, Knock
from licet.run import key_file
from licet.units import Term

MORNING = datetime(2026, 2, 1, 8, tzinfo=UTC)


@pytest.fixture
def alone(tmp_path: Path, database_url: str) -> Terminal:
    """A terminal on books that no licet is open on."""
    key_file.make(tmp_path / "keys.json")
    return Terminal(tmp_path, {"database_url": database_url})


async def furnish(terminal: Terminal, **devices: bool) -> str:
    """Acme's product with two codes, and devices; those that are True connect. Returns its key."""
    keyring = key_file.load(terminal.data / "keys.json")
    async with Books.open(terminal.settings["database_url"], keyring, connections=1) as books:
        account = await enrol.open_account(
            books,
            name="Acme",
            kind=Kind.ENTERPRISE,
            time_zone="UTC",
            mode=Mode.CHARGE,
            data_center="eu-1",
            free=FreeCodes(2, 1, Allowance(Term(12, 0), 1500, 1, 7)),
            by=PLATFORM,
            now=MORNING,
        )
        product, _ = await enrol.create_product(
            books, account_id=account.id, name="[b]Thermostat[/x]", by=PLATFORM, now=MORNING
        )
        key = product.product_key
        ((package, quantity),) = await lots.unassigned(books, account.id, now=MORNING)
        await assign(books, product_key=key, package_id=package.id, quantity=quantity, by=PLATFORM, now=MORNING)
        imported = await enrol.import_devices(books, key, [Imported(dk) for dk in devices], by=PLATFORM, now=MORNING)
        await admit(books, [Knock(key, dk, secret) for dk, secret in imported if devices[dk]], now=MORNING)
    return key


def test_a_device_is_explained_where_licet_runs(licet: Terminal, sold: Sold) -> None:
    secret = licet("devices", "import", sold.product_key, "-", typed="thermo1\n").rows[0][1]
    before = licet("explain", sold.product_key, "thermo1", now="2026-02-01T08:00:00Z").out.splitlines()
    assert before[0] == "let in  thermo1 would be let in for the first time and consume one code."
    licet.knocks(sold.product_key, "thermo1", secret)
    after = licet("explain", sold.product_key, "thermo1", now="2026-03-01T08:00:00Z").out.splitlines()
    assert after[0] == "let in  thermo1 is active: connecting costs nothing."
    assert after[1].startswith("until       2027-02-01 08:")
    assert after[2] == "next step   Nothing needs to be done."
    assert any(line.startswith("  · Code 1 (first, order PO-1) from 2026-02-01 08:") for line in after)


async def test_why_a_device_is_not_let_in_is_said_whole(alone: Terminal) -> None:
    """Rule C2: the sentence, the field's number, and the next step, each on one line whatever the product's name is."""
    key = await furnish(alone, one1=True, two2=True, three3=False)
    said = (await away(alone, "explain", key, "three3", now="2026-02-01T09:00:00Z")).splitlines()
    assert said[:3] == [
        "not let in  [b]Thermostat[/x] has no code left: 2 of 2 consumed.",
        "code        no_code_available 61016",
        "next step   Assign more; 0 unassigned codes have the same package.",
    ]


async def test_a_sweep_writes_down_what_time_has_made_true(alone: Terminal) -> None:
    """Rules D1 and D2, with a future on books of one's own."""
    key = await furnish(alone, one1=True)
    assert facts(await away(alone, "sweep", now="2026-06-01T00:00:00Z"))["renewed"] == "0"
    assert facts(await away(alone, "sweep", now="2027-02-01T08:00:00Z"))["renewed"] == "1"
    swept = facts(await away(alone, "sweep", "--now", "2028-02-01T08:00:00Z"))
    assert (swept["renewed"], swept["lapsed"]) == ("0", "1")
    assert facts(await away(alone, "sweep", now="2028-02-02T08:00:00Z"))["lapsed"] == "0"
    assert "no code was left at that instant" in await away(alone, "explain", key, "one1", now="2028-02-03T00:00:00Z")


def test_a_link_signs_an_operator_in_once(licet: Terminal) -> None:
    link = licet("link", "olga@licet.example", now="2026-02-01T08:00:00Z").out.strip()
    assert link.startswith(f"{licet.running['url']}/sign-in/")
    headers = {"Origin": licet.running["url"]}
    assert httpx.get(link).status_code == 200
    assert httpx.post(link, headers=headers).cookies
    assert not httpx.post(link, headers=headers).cookies
    assert "olga@licet.example" in licet("people", "list").out


def test_keys_are_rotated_under_a_licet_that_runs(licet: Terminal, sold: Sold) -> None:
    secret = licet("devices", "import", sold.product_key, "-", typed="thermo1\n").rows[0][1]
    rotated = licet("keys", "rotate").out
    assert rotated.startswith("key ")
    assert not rotated.endswith("; 0 secrets were sealed again\n")
    assert licet.knocks(sold.product_key, "thermo1", secret)["admitted"]
    dropped = licet("keys", "drop")
    assert dropped.out.endswith("one key is left; backups from before the rotation need the old key file\n")
    assert len(json.loads((licet.data / "keys.json").read_text())["keys"]) == 1
    assert licet.knocks(sold.product_key, "thermo1", secret)["admitted"]
    again = licet("devices", "import", sold.product_key, "-", typed="thermo1\nthermo2\n").rows
    assert again[0] == ["thermo1", secret]


@pytest.mark.parametrize(
    "words", [["keys", "rotate"], ["keys", "drop"], ["explain", "aX9kLm2QpR7", "thermo1"], ["sweep"]]
)
def test_without_books_or_keys_that_is_said_and_nothing_is_changed(
    tmp_path: Path, database_url: str, words: list[str]
) -> None:
    nowhere = Terminal(tmp_path)(*words)
    assert nowhere.status == 1
    assert nowhere.err.startswith(f"licet does not run on {tmp_path}")
    no_keys = Terminal(tmp_path, {"database_url": database_url})(*words)
    assert no_keys.status == 1
    assert "keys.json is not there; without it no secret in the books can be opened" in no_keys.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["keys", "rotate"], ["sweep"]])
def test_books_that_cannot_be_reached_leave_the_keys_as_they_are(tmp_path: Path, words: list[str]) -> None:
    key_file.make(tmp_path / "keys.json")
    before = (tmp_path / "keys.json").read_text()
    away = Terminal(tmp_path, {"database_url": f"postgresql://licet@/licet?host={tmp_path}"})(*words)
    assert (away.status, away.err) == (1, "The books cannot be reached. Try again shortly.\n")
    assert (tmp_path / "keys.json").read_text() == before


def test_what_is_not_in_the_books_is_not_explained(licet: Terminal, sold: Sold) -> None:
    assert licet("explain", "aX9kLm2QpR7", "thermo1").err == "There is no such product. Check the name.\n"
    assert licet("explain", sold.product_key, "thermo1").err == "There is no such device. Check the name.\n"


async def away(terminal: Terminal, *words: str, **settings: str) -> str:
    """What a command says, typed beside this event loop: a command has its own."""
    done = await asyncio.to_thread(terminal, *words, **settings)
    assert done.status == 0, done.err
    return done.out


def facts(out: str) -> dict[str, str]:
    return dict(line.split() for line in out.splitlines())
