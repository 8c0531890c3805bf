"""The month as it is typed: closed on books of one's own, topped up, read and paid on a licet that runs (G1 to G5)."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from doors.commands.conftest import Sold
from doors.commands.terminal import OUTSIDE, ROOT, Terminal, start, stop
from doors.commands.test_books import MORNING, alone, away, furnish

from licet import enrol
from licet.accounts import PLATFORM, FreeCodes, Kind, Mode
from licet.allowances import Usage
from licet.close import statements_of
from licet.meter import fold
from licet.packages import Allowance
from licet.postgres import statements
from licet.postgres.books import Books
from licet.postgres.counting import count
from licet.postgres.usage import Tally
from licet.run import key_file
from licet.statements import Charge
from licet.units import Term

__all__ = ["alone"]

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
FREE = FreeCodes(2, 1, Allowance(Term(12, 0), 1500, 1, 7))


async def exceeds(terminal: Terminal, pk: str, units: int, *, at: datetime = MORNING) -> None:
    """One device uses so much beyond its 1500 messages of that day."""
    keyring = key_file.load(terminal.data / "keys.json")
    async with Books.open(terminal.settings["database_url"], keyring, connections=1) as books:
        async with books.transaction() as bound:
            tally = Tally(pk, "one1", int(at.timestamp()) // 900, 1500 + units, 0, 0)
            assert await count(bound, [tally]) == []
        await fold(books, now=at)


async def test_months_are_closed_up_to_the_one_that_is_said(alone: Terminal) -> None:
    """G1: not before they are over; again changes nothing."""
    pk = await furnish(alone, one1=True)
    await exceeds(alone, pk, 200)
    await exceeds(alone, pk, 35, at=MARCH)
    early = (MARCH - timedelta(minutes=10)).isoformat()
    assert await away(alone, "close", now=early) == "0 statements closed\n"
    later = "2026-05-03T00:00:00Z"
    closed = (await away(alone, "close", "2026-02", now=later)).splitlines()
    assert [line.split() for line in closed] == [
        ["month", "kind", "excess", "settled", "owed"],
        ["2026-02", "messages", "200", "0", "200"],
        ["1", "statement", "closed"],
    ]
    assert await away(alone, "close", "2026-02", now=later) == "0 statements closed\n"
    rest = (await away(alone, "close", "--now", later)).splitlines()
    assert [line.split() for line in rest[1:]] == [
        ["2026-03", "messages", "35", "0", "35"],
        ["2", "statements", "closed"],
    ]
    nobody = f"acc_{'0' * 20}"
    assert await _refusal(alone, "close", "--account", nobody) == (1, "There is no such account. Check the name.\n")
    status, said = await _refusal(alone, "close", "last month")
    assert status == 2
    assert "YYYY-MM" in said


async def _refusal(terminal: Terminal, *words: str) -> tuple[int, str]:
    done = await asyncio.to_thread(terminal, *words, now="2026-05-03T00:00:00Z")
    return done.status, done.err


def test_a_top_up_a_statement_and_its_ledger(licet: Terminal, sold: Sold, name: str, tmp_path: Path) -> None:
    """G2 to G5: bought under a reference, once; the running month is unbilled; a file is what the API sends."""
    bought = licet("topup", name, "messages", "1000", "--reference", "PO-7").facts
    assert (bought["quantity"], bought["left"], bought["origin"]) == ("1000", "1000", "purchase")
    again = licet("topup", name, "messages", "1000", "--reference", "PO-7").facts
    assert again["id"] == bought["id"]
    given = ["--reference", "sorry", "--gift", "--expires-at", "2027-01-01T00:00:00Z"]
    assert licet("topup", name, "messages", "5", *given).facts["origin"] == "gift"
    ledger = licet("ledger", name, "messages")
    assert ledger.out.splitlines()[0] == "balance 1005"
    assert [row[2:5] for row in ledger.rows[1:]] == [["gift", "5", "1005"], ["purchase", "1000", "1000"]]
    (month,) = licet("statement", name).rows
    assert month[:3] == ["2026-02", "unbilled", "settled"]
    one = licet("statement", name, "2026-02").facts
    assert (one["billing"], one["messages excess"], one["ota owed"]) == ("unbilled", "0", "0")
    assert licet("statement", name, "2026-02", "--json").json["account_id"] == sold.account
    assert licet("statement", name, "2026-02", "--of", "messages", "--by", "device").rows == []
    file = tmp_path / "statement.csv"
    assert licet("statement", name, "2026-02", "--csv", str(file)).status == 0
    path = f"/v1/statements/{sold.account}/2026-02"
    sent = httpx.get(
        licet.running["url"] + path,
        params={"format": "csv"},
        headers={"Authorization": f"Bearer {licet.running['token']}"},
    )
    assert file.read_bytes() == sent.content
    assert licet("ledger", name, "messages", "--csv", "-").out.splitlines()[1].split(",")[4] == "1005"
    assert licet("statement", name, "--csv", "-").out.startswith("account_id,month,")
    unpaid = licet("pay", name, "2026-02", "messages", "1", "--reference", "transfer 1")
    assert (unpaid.status, unpaid.err) == (1, "There is no such statement. Check the name.\n")


@pytest.mark.parametrize("words", [["statement", "Acme", "2026-13"], ["statement", "Acme", "--of", "ota"]])
def test_a_month_that_is_none_is_said(licet: Terminal, name: str, sold: Sold, words: list[str]) -> None:
    typed = licet(*(name if word == "Acme" else word for word in words))
    assert typed.status == 2
    assert typed.err


async def test_a_close_that_is_killed_is_gone_on_with(alone: Terminal) -> None:
    """Killed at any instant it has closed whole statements, and each once."""
    pk = await furnish(alone, one1=True)
    await exceeds(alone, pk, 200)
    zones = ("UTC", "Europe/Berlin", "Asia/Tokyo", "America/New_York")
    keyring = key_file.load(alone.data / "keys.json")
    async with Books.open(alone.settings["database_url"], keyring, connections=1) as books:
        for n in range(40):
            await enrol.open_account(
                books,
                name=f"Acme {n}",
                kind=Kind.INDIVIDUAL,
                time_zone=zones[n % 4],
                mode=Mode.CHARGE,
                data_center="eu-1",
                free=FREE,
                by=PLATFORM,
                now=MORNING,
            )
        assert await asyncio.to_thread(_closes_and_dies, alone, 41 * 24) > 1
        closed = await statements.page(books, None, limit=10_000)
        months = Counter(each.account_id for each in closed)
        assert set(months.values()) == {24}
        whole = [each for each in await statements_of(books, None, limit=10_000) if each.charges[Usage.MESSAGES].excess]
        assert [(each.month, each.charges[Usage.MESSAGES]) for each in whole] == [(MORNING.date(), Charge(200, 0))]


def _closes_and_dies(terminal: Terminal, most: int) -> int:
    """Close until all is closed, and kill whoever has written another two hundred. Returns how many were killed."""
    command = [sys.executable, "-P", "-m", "licet.run.cli", "close", "--now", "2028-02-02T00:00:00Z"]
    said = {"LICET_DATA": str(terminal.data), "LICET_DATABASE_URL": terminal.settings["database_url"]}
    killed = 0
    with psycopg.connect(terminal.settings["database_url"], autocommit=True) as books:
        while (before := _closed(books)) < most:
            closing = subprocess.Popen(command, env=OUTSIDE | said | {"PYTHONPATH": str(ROOT / "src")})
            while closing.poll() is None and _closed(books) < before + 200:
                time.sleep(0.005)
            killed += closing.poll() is None
            closing.kill()
            closing.wait()
    return killed


def _closed(books: psycopg.Connection[tuple[int]]) -> int:
    found = books.execute("SELECT count(*) FROM statements").fetchone()
    assert found is not None
    return found[0]


def test_a_licet_that_serves_closes_months_by_itself(tmp_path: Path) -> None:
    """G1: beside its sweep; also when it was away on the 1st."""
    licet = Terminal(tmp_path / "data")
    up = start(licet.data, "--now", "2026-02-28T12:00:00Z")
    try:
        assert licet("accounts", "open", "Acme").status == 0
    finally:
        stop(up)
    up = start(licet.data, "--now", "2026-03-02T12:00:00Z")
    try:
        give_up = time.monotonic() + 60
        while (latest := licet("statement", "Acme").rows)[-1][:2] != ["2026-02", "billed"]:
            assert time.monotonic() < give_up, latest
            time.sleep(0.5)
    finally:
        stop(up)
    assert latest[0][:2] == ["2026-03", "unbilled"]
