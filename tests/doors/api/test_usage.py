"""What was used is read by day and month, in all, by product and by device; and the sums agree."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from doors.api.stage import FREE, NOON, Stage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from licet.accounts import PLATFORM, Kind, Mode
from licet.enrol import create_product, delete_device, import_devices, open_account
from licet.meter import fold
from licet.mint import credit, define_package
from licet.packages import Allowance
from licet.postgres.books import Books
from licet.postgres.counting import count
from licet.postgres.queries import texts
from licet.postgres.usage import Tally
from licet.products import Imported
from licet.units import Term


async def counted(books: Books, product_key: str, device_key: str, up: int, down: int, at: datetime = NOON) -> None:
    """So many messages were counted for that device at that instant."""
    tally = Tally(product_key, device_key, int(at.timestamp()) // 900, up, down, 0)
    async with books.transaction() as bound:
        assert await count(bound, [tally]) == []


async def listed(stage: Stage, path: str = "/v1/usage/messages", *, limit: int = 200, **params: Any) -> list[Any]:
    """All pages of a list."""
    rows: list[Any] = []
    cursor = None
    while True:
        asked = params | {"limit": limit} | ({"cursor": cursor} if cursor else {})
        answer = stage.made(await stage.operator.get(path, params=asked))
        assert len(answer["data"]) <= limit
        rows += answer["data"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return rows


async def test_1700_of_1500_is_200_excess(stage: Stage) -> None:
    """E2, E4: the body that scripts rely on, and what is told besides."""
    pk, _ = await stage.sold()
    await stage.device(pk)
    await counted(stage.books, pk, "thermo1", 1000, 400)
    await fold(stage.books, now=NOON)
    await counted(stage.books, pk, "thermo1", 300, 0)
    own = {"on": "2026-01-10", "used": 1700, "covered": 1500, "excess": 200, "up": 1300, "down": 400}
    nobodys = {"bytes": None, "allowance": None, "product_key": None, "device_key": None}
    asked = {"product_key": pk, "device_key": "thermo1", "from": "2026-01-10", "to": "2026-01-10", "by": "day"}
    of_device = own | {"bytes": None, "allowance": 1500, "product_key": pk, "device_key": "thermo1"}
    for client in (stage.alice, stage.bob, stage.operator):
        answer = stage.made(await client.get("/v1/usage/messages", params=asked))
        assert answer == {"data": [of_device], "next_cursor": None}
    assert stage.made(await stage.bob.get("/v1/usage/messages"))["data"] == [own | nobodys]
    of_product = stage.made(await stage.bob.get("/v1/usage/messages", params={"whose": "product", "by": "month"}))
    assert of_product["data"] == [own | nobodys | {"on": "2026-01-01", "product_key": pk}]
    told = stage.made(await stage.bob.get(f"/v1/devices/{pk}/thermo1/usage"))
    assert told == {"data": [of_device], "next_cursor": None, "today": of_device}
    stage.clock.move(days=1)
    told = stage.made(await stage.bob.get(f"/v1/devices/{pk}/thermo1/usage"))
    unused = {"on": "2026-01-11", "used": 0, "covered": 0, "excess": 0, "up": 0, "down": 0, "allowance": 1500}
    assert told["today"] == nobodys | unused
    assert told["data"] == [of_device]
    stage.clock.move(days=31)
    assert stage.made(await stage.bob.get("/v1/usage/messages"))["data"] == []


async def test_the_days_are_the_accounts_own(stage: Stage) -> None:
    """The default is this month to date, where the account is at home; without one, in UTC."""
    pk, _ = await stage.sold()
    await stage.device(pk)
    await stage.alice.patch(f"/v1/accounts/{stage.acme}", json={"time_zone": "Asia/Tokyo"})
    await counted(stage.books, pk, "thermo1", 7, 0, datetime(2026, 1, 31, 15, 0, tzinfo=UTC))
    stage.clock.now = datetime(2026, 1, 31, 20, 0, tzinfo=UTC)
    assert [each["on"] for each in stage.made(await stage.alice.get("/v1/usage/messages"))["data"]] == ["2026-02-01"]
    assert stage.made(await stage.operator.get("/v1/usage/messages"))["data"] == []
    assert len(await listed(stage, product_key=pk)) == 1
    assert len(await listed(stage, to="2026-02-01")) == 1


async def test_what_cannot_be_meant_is_said(stage: Stage) -> None:
    pk, _ = await stage.sold()
    await stage.device(pk)
    wrong: list[tuple[dict[str, str], set[str]]] = [
        ({"from": "2026-02-30", "to": "yesterday", "by": "year", "whose": "mine", "spare": "1"}, set()),
        ({"from": "2026-01-02", "to": "2026-01-01"}, {"from"}),
        ({"from": "2025-01-09", "to": "2026-01-10"}, {"from"}),
        ({"from": "0001-01-01"}, {"from"}),
        ({"device_key": "thermo1"}, {"product_key"}),
    ]
    for params, fields in wrong:
        problem = stage.refused(await stage.alice.get("/v1/usage/messages", params=params), 422, "malformed")
        assert {each["field"] for each in problem["errors"]} == fields or set(params)
    assert (await stage.alice.get("/v1/usage/messages?from=2025-01-10&to=2026-01-10")).status_code == 200
    for kind in ("ota", "storage", "party", "%00"):
        if kind not in {"ota", "storage"} or kind not in _kinds():
            stage.refused(await stage.alice.get(f"/v1/usage/{kind}"), 404, "not_found")
    for path in (f"/v1/usage/messages?product_key={pk}", f"/v1/devices/{pk}/thermo1/usage"):
        stage.refused(await stage.mallory.get(path), 404, "not_found")
    nowhere = {"product_key": pk, "device_key": "nobody01"}
    stage.refused(await stage.alice.get("/v1/usage/messages", params=nowhere), 404, "not_found")
    globex = {"product_key": pk, "account_id": stage.globex}
    stage.refused(await stage.operator.get("/v1/usage/messages", params=globex), 404, "not_found")
    assert stage.made(await stage.mallory.get("/v1/usage/messages"))["data"] == []


async def test_a_cursor_fits_the_list_it_came_from(stage: Stage) -> None:
    pk, _ = await stage.sold()
    for n in range(3):
        await stage.device(pk, f"thermo{n}")
        for day in range(3):
            await counted(stage.books, pk, f"thermo{n}", 10 + n, day, NOON + timedelta(days=day))
    stage.clock.move(days=3)
    for params in ({}, {"whose": "product"}, {"whose": "device"}, {"product_key": pk, "device_key": "thermo1"}):
        whole = await listed(stage, **params)
        assert await listed(stage, limit=2, **params) == whole
        assert len(whole) == (9 if params == {"whose": "device"} else 3)
    first = stage.made(await stage.operator.get("/v1/usage/messages", params={"limit": 1, "whose": "device"}))
    for whose in ("total", "product"):
        params = {"cursor": first["next_cursor"], "whose": whose}
        stage.refused(await stage.operator.get("/v1/usage/messages", params=params), 422, "malformed")


async def test_devices_that_used_nothing_are_passed_over(stage: Stage) -> None:
    """However many of them there are: a page may be short, but the next ones go on."""
    pk, _ = await stage.sold()
    lines = [Imported(f"idle{n:04}") for n in range(1200)]
    await import_devices(stage.books, pk, lines, by=PLATFORM, now=NOON)
    for key in ("idle0003", "idle0700", "idle1199"):
        await counted(stage.books, pk, key, 1, 0)
    assert [each["device_key"] for each in await listed(stage, whose="device")] == ["idle0003", "idle0700", "idle1199"]


async def test_the_use_of_what_was_deleted_stays(stage: Stage) -> None:
    pk, _ = await stage.sold()
    await stage.device(pk)
    await counted(stage.books, pk, "thermo1", 5, 0)
    await delete_device(stage.books, pk, "thermo1", by=PLATFORM, now=NOON)
    await stage.alice.delete(f"/v1/products/{pk}")
    for params in ({}, {"whose": "device"}, {"product_key": pk}, {"product_key": pk, "device_key": "thermo1"}):
        assert [each["used"] for each in await listed(stage, **params)] == [5], params


FLEETS = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=3), min_size=1, max_size=3)
USES = st.lists(
    st.tuples(
        st.integers(0, 8), st.integers(0, 70), st.integers(0, 95), st.integers(0, 25), st.integers(0, 25), st.booleans()
    ),
    max_size=25,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]), fleets=FLEETS, uses=USES)
async def test_the_sums_agree(stage: Stage, zone: str, fleets: list[list[int]], uses: list[tuple[int, ...]]) -> None:
    """By day = by month = by product = by device, with some of it folded and some not; one device is virtual."""
    books = stage.books
    account_id, devices = await a_fleet(books, zone, fleets)
    allowed: dict[tuple[str, str], int | None] = {each[:2]: each[2] for each in devices}
    said: Counter[tuple[str, str, date]] = Counter()
    begin = datetime(2026, 1, 20, tzinfo=UTC)
    for which, day, slot, up, down, folds in uses:
        product_key, device_key, _ = devices[which % len(devices)]
        at = begin + timedelta(days=day, minutes=15 * slot)
        await counted(books, product_key, device_key, up, down, at)
        said[product_key, device_key, at.astimezone(_zone(zone)).date()] += up + down
        if folds:
            await fold(books, now=NOON)
    expected: dict[tuple[str, str, date], tuple[int, int]] = {}
    for (product_key, device_key, on), used in said.items():
        allowance = allowed[product_key, device_key]
        covered = used if allowance is None else min(used, allowance)
        expected[product_key, device_key, on] = (covered, used - covered)
    days = {"account_id": account_id, "from": "2026-01-19", "to": "2026-04-30"}
    for whose in ("total", "product", "device"):
        for by in ("day", "month"):
            wanted: dict[tuple[str | None, str | None, str], list[int]] = defaultdict(lambda: [0, 0])
            for (product_key, device_key, on), drawn in expected.items():
                key = (
                    None if whose == "total" else product_key,
                    device_key if whose == "device" else None,
                    (on if by == "day" else on.replace(day=1)).isoformat(),
                )
                wanted[key] = [sum(both) for both in zip(wanted[key], drawn, strict=True)]
            found = await listed(stage, **days, whose=whose, by=by, limit=7)
            shown = {
                (each["product_key"], each["device_key"], each["on"]): [each["covered"], each["excess"]]
                for each in found
            }
            assert len(shown) == len(found)
            assert shown == {key: drawn for key, drawn in wanted.items() if any(drawn)}
            assert all(each["used"] == each["up"] + each["down"] == each["covered"] + each["excess"] for each in found)


def test_one_devices_use_is_found_by_index(database_url: str) -> None:
    """Whatever else is in the books; and an account's by its devices and days, while it has few of them."""
    with psycopg.connect(database_url) as connection:
        connection.execute("""
            CREATE TABLE message_counts_2026_01 PARTITION OF message_counts
                FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
            INSERT INTO message_counts
                SELECT DATE '2026-01-01' + day, device, 5, 5
                FROM generate_series(0, 30) AS day, generate_series(1, 3000) AS device;
            INSERT INTO message_deltas SELECT DATE '2026-01-31', device, 1, 1 FROM generate_series(1, 3000) AS device;
            INSERT INTO accounts (id, name, kind, data_center, time_zone, mode, opened_at)
                SELECT 'acc_' || n, 'Acme', 'enterprise', 'local', 'UTC', 'charge', '2026-01-01'
                FROM generate_series(1, 300) AS n;
            INSERT INTO products (product_key, account_id, name, sealed_secret, auto_renewal, renewal_policy,
                                  dynamic_authentication, renewed_until, created_at)
                SELECT 'product' || n, 'acc_' || n, 'Thermostat', '', true, 'on_schedule', true, '2026-01-01',
                       '2026-01-01'
                FROM generate_series(1, 300) AS n;
            INSERT INTO devices (product_id, device_key, sealed_secret, secret_origin, virtual, enrolled_at)
                SELECT 1 + n % 300, 'thermo' || n, '', 'issued', false, '2026-01-01'
                FROM generate_series(1, 3000) AS n;
            ANALYZE
        """)
        month = {"first": date(2026, 1, 1), "last": date(2026, 1, 31), "by": "day"}
        days: dict[str, Any] = month | {"days": [date(2026, 1, 1 + n) for n in range(31)]}
        small = days | {"account_id": "acc_1", "product_key": None, "whose": "total", "limit": None}
        for query, asked in [
            ("messages_used_by", days | {"device_ids": [7]}),
            ("messages_used", small | {"after_on": date.min, "after_key": ""}),
        ]:
            rows = connection.execute(b"EXPLAIN (ANALYZE) " + texts("usage")[query].encode(), asked).fetchall()
            how = "\n".join(row[0] for row in rows)
            assert "Index Scan using message_counts_2026_01_pkey" in how, how
            assert "Seq Scan on message_counts" not in how, how
            answered = connection.execute(texts("usage")[query].encode(), asked).fetchall()
            assert len(answered) == 31


async def a_fleet(books: Books, zone: str, fleets: list[list[int]]) -> tuple[str, list[tuple[str, str, int | None]]]:
    """An account with a product for each fleet, and a device for each of its members; the very first is virtual."""
    account = await open_account(
        books,
        name="Acme",
        kind=Kind.ENTERPRISE,
        time_zone=zone,
        mode=Mode.CHARGE,
        data_center="local",
        free=FREE,
        by=PLATFORM,
        now=NOON,
    )
    devices: list[tuple[str, str, int | None]] = []
    for fleet in fleets:
        product, _ = await create_product(books, account_id=account.id, name="Thermostat", by=PLATFORM, now=NOON)
        package = await define_package(
            books, name=product.product_key, allowance=Allowance(Term(12, 0), fleet[0], 1, 7), by=PLATFORM, now=NOON
        )
        await credit(
            books,
            account_id=account.id,
            product_key=product.product_key,
            package_id=package.id,
            quantity=1,
            order_reference=product.product_key,
            by=PLATFORM,
            now=NOON,
        )
        lines = [Imported(f"thermo{n}", virtual=not devices and n == 0) for n in range(len(fleet))]
        await import_devices(books, product.product_key, lines, by=PLATFORM, now=NOON)
        devices += [(product.product_key, line.device_key, None if line.virtual else fleet[0]) for line in lines]
    return account.id, devices


def _zone(name: str) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def _kinds() -> set[str]:
    from licet.web.api.usage import READS

    return {kind.value for kind in READS}
