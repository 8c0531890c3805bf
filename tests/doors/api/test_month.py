"""The month at the API: excess, top-ups, the ledger, statements and what they are made of (G1 to G6)."""

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import httpx
from doors.api.stage import NOON, Stage
from doors.api.test_usage import counted

from licet.close import close
from licet.meter import fold

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
NOTHING = {"excess": 0, "settled": 0, "owed": 0}


async def exceeds(stage: Stage, pk: str, units: int, *, device_key: str = "thermo1", at: datetime = NOON) -> None:
    """The device uses so much beyond its 1500 messages of that day."""
    await counted(stage.books, pk, device_key, 1500 + units, 0, at)
    await fold(stage.books, now=at)


async def closes(stage: Stage, now: datetime = FEBRUARY) -> None:
    stage.clock.now = now
    await close(stage.books, now=now)


def topup(stage: Stage, quantity: int, reference: str, **more: Any) -> dict[str, Any]:
    return {"account_id": stage.acme, "kind": "messages", "quantity": quantity, "reference": reference} | more


async def buys(stage: Stage, quantity: int, reference: str, **more: Any) -> dict[str, Any]:
    return stage.made(await stage.operator.post("/v1/topups", json=topup(stage, quantity, reference, **more)), 201)


async def all_pages(client: httpx.AsyncClient, path: str, **params: Any) -> list[Any]:
    rows: list[Any] = []
    cursor: str | None = None
    while True:
        asked = params | ({"cursor": cursor} if cursor else {})
        answer = Stage.made(await client.get(path, params=asked))
        rows += answer["data"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return rows


def _without_packages(told: dict[str, Any]) -> dict[str, Any]:
    """These have a test of their own."""
    return {name: value for name, value in told.items() if name != "packages"}


async def test_a_month_from_its_first_excess_to_its_last_payment(stage: Stage) -> None:
    """G1, G3, G5: live and unbilled, billed on the 1st, settled by a top-up, the rest paid."""
    pk, _ = await stage.sold()
    await stage.device(pk)
    await exceeds(stage, pk, 200)
    path = f"/v1/statements/{stage.acme}/2026-01"
    live = {
        "account_id": stage.acme,
        "month": "2026-01",
        "billing": "unbilled",
        "settlement": "unsettled",
        "kinds": {"messages": {"excess": 200, "settled": 0, "owed": 200}, "ota": NOTHING, "storage": NOTHING},
        "lines": [{"kind": "messages", "from_month": "2026-01", "excess": 200}],
        "closed_at": None,
        "time_zone": "UTC",
    }
    for client in (stage.alice, stage.bob, stage.operator):
        assert _without_packages(stage.made(await client.get(path))) == live
    await closes(stage)
    billed = live | {"billing": "billed", "closed_at": "2026-02-01T00:00:00Z"}
    assert _without_packages(stage.made(await stage.bob.get(path))) == billed
    await buys(stage, 150, "PO-1")
    told = stage.made(await stage.bob.get(path))
    assert told["kinds"]["messages"] == {"excess": 200, "settled": 150, "owed": 50}
    payment = {"kind": "messages", "quantity": 51, "reference": "transfer 1"}
    stage.refused(await stage.operator.post(f"{path}/payments", json=payment), 409, "more_than_owed")
    for _ in range(2):
        paid = stage.made(await stage.operator.post(f"{path}/payments", json=payment | {"quantity": 50}), 201)
        assert (paid["settlement"], paid["kinds"]["messages"]["owed"]) == ("settled", 0)
    stage.refused(await stage.operator.post(f"{path}/payments", json=payment), 409, "reference_used")
    listed = await all_pages(stage.bob, "/v1/statements", limit=1)
    assert [(each["month"], each["billing"]) for each in listed] == [("2026-02", "unbilled"), ("2026-01", "billed")]
    assert listed[1] == paid
    everyones = stage.made(await stage.operator.get("/v1/statements"))["data"]
    assert {each["account_id"] for each in everyones} == {stage.acme, stage.globex}


async def test_twelve_months_at_once_and_the_others_behind_them(stage: Stage) -> None:
    """G5: also when nobody closed any of them yet."""
    now = datetime(2027, 6, 15, tzinfo=UTC)
    stage.clock.now = now
    open_still = stage.made(await stage.bob.get("/v1/statements"))
    assert len(open_still["data"]) == 12
    assert {each["billing"] for each in open_still["data"]} == {"unbilled"}
    await closes(stage, now)
    first = stage.made(await stage.bob.get("/v1/statements"))
    assert [each["billing"] for each in first["data"]] == ["unbilled"] + ["billed"] * 11
    months = [each["month"] for each in await all_pages(stage.bob, "/v1/statements")]
    assert months == [f"2027-{n:02}" for n in range(6, 0, -1)] + [f"2026-{n:02}" for n in range(12, 0, -1)]
    await stage.bob.get("/v1/statements", params={"cursor": first["next_cursor"]})


async def test_top_ups_and_their_ledger(stage: Stage) -> None:
    """G2, G3, G4: 1000 against open bills of 35 and 420 leaves 965, then 545."""
    pk, _ = await stage.sold()
    await stage.device(pk)
    await exceeds(stage, pk, 35)
    await exceeds(stage, pk, 420, at=FEBRUARY + timedelta(days=3))
    await closes(stage, datetime(2026, 3, 1, tzinfo=UTC))
    bought = await buys(stage, 1000, "PO-1", expires_at="2026-04-01T00:00:00Z")
    assert (bought["origin"], bought["quantity"], bought["left"]) == ("purchase", 1000, 545)
    assert await buys(stage, 1000, "PO-1", expires_at="2026-04-01T00:00:00Z") == bought
    stage.clock.move(seconds=1)
    given = await buys(stage, 7, "sorry", origin="gift")
    ledger = stage.made(await stage.bob.get("/v1/ledger/messages"))
    assert (ledger["balance"], ledger["next_expiry_at"]) == (552, "2026-04-01T00:00:00Z")
    assert [(each["type"], each["quantity"], each["balance"], each["month"]) for each in ledger["data"]] == [
        ("gift", 7, 552, None),
        ("bill", -420, 545, "2026-02"),
        ("bill", -35, 965, "2026-01"),
        ("purchase", 1000, 1000, None),
    ]
    assert await all_pages(stage.bob, "/v1/ledger/messages", limit=1) == ledger["data"]
    assert stage.made(await stage.bob.get("/v1/ledger/ota"))["balance"] == 0
    assert await all_pages(stage.bob, "/v1/topups", limit=1) == [given, bought]
    assert await all_pages(stage.operator, "/v1/topups", account_id=stage.acme, kind="ota") == []
    stage.clock.now = datetime(2026, 4, 1, tzinfo=UTC)
    assert await buys(stage, 1000, "PO-1", expires_at="2026-04-01T00:00:00Z") == bought | {"left": 0}
    wrong = topup(stage, 1000, "PO-2", expires_at="2026-04-01T00:00:00Z")
    problem = stage.refused(await stage.operator.post("/v1/topups", json=wrong), 422, "malformed")
    assert [each["field"] for each in problem["errors"]] == ["expires_at"]
    differs = await stage.operator.post("/v1/topups", json=topup(stage, 999, "PO-1"))
    stage.refused(differs, 409, "reference_used")


async def test_a_key_makes_a_top_up_and_a_payment_once(stage: Stage) -> None:
    asked = topup(stage, 10, "PO-1")
    key = {"Idempotency-Key": "k1"}
    answers = [await stage.operator.post("/v1/topups", json=asked, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    other = await stage.operator.post("/v1/topups", json=asked | {"quantity": 11}, headers=key)
    stage.refused(other, 409, "idempotency_key_reused")


async def test_late_use_says_from_which_month_it_is(stage: Stage) -> None:
    """G6: and what the closed month is made of stays what it was."""
    pk, _ = await stage.sold()
    await stage.device(pk)
    await stage.device(pk, "thermo2")
    await exceeds(stage, pk, 10)
    await closes(stage)
    january, february = (f"/v1/statements/{stage.acme}/2026-0{n}" for n in (1, 2))
    before = await all_pages(stage.bob, f"{january}/messages", by="device")
    for device_key in ("thermo1", "thermo2"):
        await reported_late(stage, pk, device_key, 1507 if device_key == "thermo2" else 3)
    await exceeds(stage, pk, 5, at=FEBRUARY + timedelta(days=1))
    await closes(stage, datetime(2026, 3, 1, tzinfo=UTC))
    assert await all_pages(stage.bob, f"{january}/messages", by="device") == before
    told = stage.made(await stage.bob.get(february))
    assert [(each["from_month"], each["excess"]) for each in told["lines"]] == [("2026-01", 10), ("2026-02", 5)]
    parts = await all_pages(stage.bob, f"{february}/messages", by="device", limit=1)
    assert [(each["from_month"], each["device_key"], each["excess"]) for each in parts] == [
        ("2026-01", "thermo1", 3),
        ("2026-01", "thermo2", 7),
        ("2026-02", "thermo1", 5),
    ]
    days = {"by": "day", "product_key": pk, "device_key": "thermo1"}
    assert await all_pages(stage.bob, f"{february}/messages", **days) == [
        _part(pk, "thermo1", "2026-01", "2026-01-10", 3, 1513),
        _part(pk, "thermo1", "2026-02", "2026-02-02", 5, 1505),
    ]


async def reported_late(stage: Stage, pk: str, device_key: str, units: int) -> None:
    """A gateway reports today what a device used in January."""
    event = {
        "specversion": "1.0",
        "id": f"late {device_key}",
        "source": "gateway",
        "type": "licet.usage.messages",
        "time": "2026-01-10T12:00:00Z",
        "subject": f"{pk}/{device_key}",
        "data": {"direction": "up", "messages": units},
    }
    assert stage.made(await stage.collector.post("/v1/usage", json=[event]))["accepted"] == 1


def _part(pk: str, device_key: str, month: str, on: str, excess: int, used: int) -> dict[str, Any]:
    return {
        "from_month": month,
        "product_key": pk,
        "device_key": device_key,
        "on": on,
        "excess": excess,
        "used": used,
        "allowance": 1500,
    }


async def test_files_say_what_the_api_says(stage: Stage) -> None:
    """G5: CSV and XLSX, of a statement, of its list, of its parts and of the ledger; and no cell is a formula."""
    pk, _ = await stage.sold()
    await stage.device(pk)
    await exceeds(stage, pk, 20)
    await buys(stage, 5, "=cmd|' /C calc'!A0")
    await closes(stage)
    path = f"/v1/statements/{stage.acme}/2026-01"
    said = stage.made(await stage.bob.get(path))
    for params, accept in (({"format": "csv"}, "*/*"), ({}, "text/csv")):
        answer = await stage.bob.get(path, params=params, headers={"accept": accept})
        assert answer.headers["content-type"].startswith("text/csv")
        assert "attachment" in answer.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        totals = {each["kind"]: each for each in rows if each["row"] == "total"}
        for kind, charge in said["kinds"].items():
            assert {name: int(totals[kind][name]) for name in charge} == charge
        assert [
            {"kind": each["kind"], "from_month": each["from_month"], "excess": int(each["excess"])}
            for each in rows
            if each["row"] == "line"
        ] == said["lines"]
        assert {each["settlement"] for each in rows} == {"unsettled"}
        assert {each["closed_at"] for each in rows} == {"2026-02-01T00:00:00Z"}
    for at in (path, f"{path}/messages", "/v1/ledger/messages", "/v1/statements"):
        lines = list(csv.reader(io.StringIO((await stage.bob.get(at, params={"format": "csv"})).text)))
        sheet = sheet_of((await stage.bob.get(at, params={"format": "xlsx"})).content)
        assert sheet == lines, at
        assert len(lines) > 1
        assert not any(cell.startswith(("=", "+", "@")) for line in lines for cell in line)
    ledger = list(csv.DictReader(io.StringIO((await stage.bob.get("/v1/ledger/messages?format=csv")).text)))
    assert [(each["quantity"], each["reference"]) for each in ledger] == [("-5", ""), ("5", "'=cmd|' /C calc'!A0")]
    nothing = await stage.bob.get("/v1/ledger/storage", params={"format": "xlsx"})
    assert sheet_of(nothing.content)[0][0] == "id"


def sheet_of(content: bytes) -> list[list[str]]:
    """The cells of the first sheet of an XLSX file, as texts. There is no formula among them."""
    space = {"s": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314 - what licet wrote
    assert sheet.findall(".//s:f", space) == []
    table: list[list[str]] = []
    for row in sheet.iterfind(".//s:row", space):
        cells: dict[str, str] = {}
        for cell in row.iterfind("s:c", space):
            column = cell.attrib["r"].rstrip("0123456789")
            cells[column] = "".join(cell.itertext())
        table.append([cells.get(chr(ord("A") + n), "") for n in range(len(table[0]) if table else len(cells))])
    return table


async def test_what_is_anothers_is_not_there(stage: Stage) -> None:
    pk, _ = await stage.sold()
    await stage.device(pk)
    await exceeds(stage, pk, 20)
    path = f"/v1/statements/{stage.acme}"
    for at in (f"{path}/2026-01", f"{path}/2026-01/messages", f"/v1/ledger/ota?account_id={stage.acme}"):
        stage.refused(await stage.mallory.get(at), 404, "not_found")
    for month in ("2025-12", "2026-02", "2026-13", "january", "2026-1"):
        stage.refused(await stage.alice.get(f"{path}/{month}"), 404, "not_found")
    stage.refused(await stage.operator.get(f"/v1/statements/acc_{'0' * 20}/2026-01"), 404, "not_found")
    stage.refused(await stage.operator.get("/v1/ledger/messages"), 422, "malformed")
    stage.refused(await stage.alice.get("/v1/ledger/party"), 404, "not_found")
    stage.refused(await stage.alice.get(f"{path}/2026-01/party"), 404, "not_found")
    for device in ({"device_key": "thermo1"}, {"by": "hour"}, {"format": "pdf"}, {"cursor": "x"}):
        stage.refused(await stage.alice.get(f"{path}/2026-01/messages", params=device), 422, "malformed")
    stage.refused(await stage.alice.post("/v1/topups", json=topup(stage, 1, "X")), 403, "not_permitted")
    payment = {"kind": "ota", "quantity": 1, "reference": "X"}
    stage.refused(await stage.alice.post(f"{path}/2026-01/payments", json=payment), 403, "not_permitted")
    stage.refused(await stage.operator.post(f"{path}/2026-01/payments", json=payment), 404, "not_found")
    nasty = {"kind": "gas", "quantity": 0, "origin": "theft", "reference": "", "expires_at": "soon"}
    problem = stage.refused(await stage.operator.post("/v1/topups", json=nasty), 422, "malformed")
    assert {each["field"] for each in problem["errors"]} == {"account_id", *nasty}


async def test_a_cursor_of_a_running_month_ends_when_it_is_closed(stage: Stage) -> None:
    pk, _ = await stage.sold()
    for device_key in ("thermo1", "thermo2"):
        await stage.device(pk, device_key)
        await exceeds(stage, pk, 1, device_key=device_key)
    path = f"/v1/statements/{stage.acme}/2026-01/messages"
    asked: dict[str, Any] = {"by": "device", "limit": 1}
    first = stage.made(await stage.bob.get(path, params=asked))
    second = stage.made(await stage.bob.get(path, params=asked | {"cursor": first["next_cursor"]}))
    assert [each["data"][0]["device_key"] for each in (first, second)] == ["thermo1", "thermo2"]
    await closes(stage)
    stage.refused(await stage.bob.get(path, params=asked | {"cursor": first["next_cursor"]}), 422, "malformed")
