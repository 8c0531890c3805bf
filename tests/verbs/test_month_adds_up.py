"""Parts sum to wholes: any usage, any top-ups, in any order; however late, often or broken off a month is closed."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.verbs.conftest import FREE, NOON

from licet.accounts import PLATFORM, Kind, Mode
from licet.allowances import Usage
from licet.close import close, statement, statements_of
from licet.enrol import create_product, import_devices, open_account
from licet.excess import Origin
from licet.late import hold_late
from licet.lots import Lot
from licet.meter import fold
from licet.mint import credit, define_package
from licet.packages import Allowance, Package
from licet.postgres import ledger, statements
from licet.postgres.books import Books
from licet.postgres.counting import count
from licet.postgres.usage import Tally
from licet.products import Imported
from licet.refusals import Reason, Refused
from licet.statements import closes_at
from licet.topup import pay, top_up
from licet.units import Term

ALLOWED = 10  # messages a day
BEGINS = datetime(2026, 1, 12, tzinfo=UTC)
ENDS = datetime(2026, 7, 2, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York")
MANY = 10_000

# (days from the beginning, device, messages)
USES = st.lists(st.tuples(st.integers(0, 110), st.integers(0, 3), st.integers(1, 40)), max_size=14)
# (day, units, days until it expires or never)
TOPUPS = st.lists(st.tuples(st.integers(0, 150), st.integers(1, 60), st.none() | st.integers(1, 90)), max_size=6)
PAYMENTS = st.lists(st.tuples(st.integers(20, 150), st.integers(0, 4), st.integers(1, 30)), max_size=4)

of_any_month = settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@dataclass
class Fleet:
    """An account with two products of two devices each; what they used, as a person would write it down."""

    books: Books
    account_id: str
    devices: list[tuple[str, str]]
    used: Counter[tuple[str, str, date]] = field(default_factory=Counter)

    async def uses(self, which: int, messages: int, *, at: datetime, now: datetime) -> None:
        product_key, device_key = self.devices[which]
        slot = int(at.timestamp()) // 900
        async with self.books.transaction() as bound:
            late = await hold_late(bound, [(product_key, slot)], now=now)
            assert await count(bound, [Tally(product_key, device_key, slot, messages, 0, 0)]) == []
            await statements.note_late(bound, late)
        self.used[product_key, device_key, at.date()] += messages

    async def buys(self, units: int, reference: str, *, expires_at: datetime | None, now: datetime) -> None:
        await top_up(
            self.books,
            account_id=self.account_id,
            usage=Usage.MESSAGES,
            quantity=units,
            origin=Origin.PURCHASE,
            reference=reference,
            expires_at=expires_at,
            by=PLATFORM,
            now=now,
        )

    async def pays(self, month: date, units: int, reference: str, *, now: datetime) -> None:
        """As far as there is a bill of that month, and so much is owed."""
        try:
            await pay(
                self.books,
                account_id=self.account_id,
                month=month,
                usage=Usage.MESSAGES,
                quantity=units,
                reference=reference,
                by=PLATFORM,
                now=now,
            )
        except Refused as no:
            if no.reason not in {Reason.NOT_FOUND, Reason.MORE_THAN_OWED}:
                raise

    async def bills(self) -> list[Any]:
        """What there is of bills and of the ledger, but for ids and for when it was written down.

        Of two top-ups that were bought at one instant and expire at one instant either may be drawn first.
        """
        closed = await statements_of(self.books, self.account_id, limit=MANY)
        rows = await ledger.page(self.books, self.account_id, Usage.MESSAGES, before=None, limit=MANY)
        changes: Counter[Any] = Counter()
        for row in rows:
            changes[row.at, row.type, row.month] += row.quantity
        return [[(each.month, each.charges, each.lines) for each in closed], changes]


async def a_fleet(books: Books, zone: str = "UTC") -> Fleet:
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
    fleet = Fleet(books, account.id, [])
    package = await a_package(books, account.id)
    for name in ("Thermostat", "Pump"):
        product, _ = await create_product(books, account_id=account.id, name=name, by=PLATFORM, now=NOON)
        await sold(books, account.id, product.product_key, package)
        lines = [Imported("one1"), Imported("two2")]
        await import_devices(books, product.product_key, lines, by=PLATFORM, now=NOON)
        fleet.devices += [(product.product_key, line.device_key) for line in lines]
    return fleet


async def a_package(books: Books, name: str) -> Package:
    allowance = Allowance(Term(12, 0), ALLOWED, 1, 7)
    return await define_package(books, name=name, allowance=allowance, by=PLATFORM, now=NOON)


async def sold(books: Books, account_id: str, product_key: str, package: Package) -> Lot:
    return await credit(
        books,
        account_id=account_id,
        product_key=product_key,
        package_id=package.id,
        quantity=2,
        order_reference=product_key,
        by=PLATFORM,
        now=NOON,
    )


async def whatever_it_is_it_adds_up(fleet: Fleet) -> Counter[date]:
    """Rules G4 and G5, and §9. Returns what was billed in all, by the month that it is from."""
    billed: Counter[date] = Counter()
    for each in await statements_of(fleet.books, fleet.account_id, limit=MANY):
        charge = each.charges[Usage.MESSAGES]
        assert charge.excess == charge.settled + charge.owed
        assert charge.settled >= 0 <= charge.owed
        assert charge.excess == sum(line.excess for line in each.lines)
        billed.update({line.from_month: line.excess for line in each.lines})
        for by in ("product", "device", "day"):
            parts = await statements.parts(fleet.books, fleet.account_id, each.month, Usage.MESSAGES, by=by, limit=MANY)
            by_month: Counter[date] = Counter()
            for part in parts:
                by_month[part.from_month] += part.excess
            assert by_month == {line.from_month: line.excess for line in each.lines}
    rows = (await ledger.page(fleet.books, fleet.account_id, Usage.MESSAGES, before=None, limit=MANY))[::-1]
    assert [row.balance for row in rows] == list(accumulate(row.quantity for row in rows))
    left = (await ledger.remaining(fleet.books, [fleet.account_id])).get((fleet.account_id, Usage.MESSAGES), [])
    assert sum(topup.left for topup in left) == (rows[-1].balance if rows else 0)
    return billed


def excess_of(fleet: Fleet) -> Counter[date]:
    """As a person would reckon it: by month."""
    excess: Counter[date] = Counter()
    for (_, _, on), used in fleet.used.items():
        excess[on.replace(day=1)] += max(0, used - ALLOWED)
    return +excess


@of_any_month
@given(uses=USES, late=st.lists(st.integers(0, 60), max_size=14), topups=TOPUPS, payments=PAYMENTS, data=st.data())
async def test_every_excess_is_billed_once(
    books: Books,
    uses: list[tuple[int, int, int]],
    late: list[int],
    topups: list[tuple[int, int, int | None]],
    payments: list[tuple[int, int, int]],
    data: st.DataObject,
) -> None:
    """G6: at once or late, in whatever order it is counted, bought, paid and closed."""
    fleet = await a_fleet(books)
    acts: list[tuple[int, Any]] = []
    for n, (day, which, messages) in enumerate(uses):
        acts.append((day + (late[n] if n < len(late) else 0), ("uses", day, which, messages)))
    acts += [(day, ("buys", n, units, days)) for n, (day, units, days) in enumerate(topups)]
    acts += [(day, ("pays", n, month, units)) for n, (day, month, units) in enumerate(payments)]
    acts += [(day, ("closes",)) for day in data.draw(st.lists(st.integers(0, 170), max_size=5))]
    for day, act in sorted(acts, key=lambda each: each[0]):
        now = BEGINS + timedelta(days=day, hours=12)
        match act:
            case ("uses", used_on, which, messages):
                at = BEGINS + timedelta(days=used_on, hours=6)
                await fleet.uses(which, messages, at=at, now=now)
                await fold(books, now=now)
            case ("buys", n, units, days):
                expires_at = None if days is None else now + timedelta(days=days)
                await fleet.buys(units, f"PO-{n}", expires_at=expires_at, now=now)
            case ("pays", n, month, units):
                await fleet.pays(date(2026, 1 + month, 1), units, f"wire-{n}", now=now)
            case _:
                await close(books, now=now)
        await whatever_it_is_it_adds_up(fleet)
    await close(books, now=ENDS)
    assert await whatever_it_is_it_adds_up(fleet) == excess_of(fleet)
    before = await fleet.bills()
    await asyncio.gather(*(close(books, now=ENDS) for _ in range(3)))
    assert await fleet.bills() == before


@of_any_month
@given(zone=st.sampled_from(ZONES), uses=USES, topups=TOPUPS)
async def test_it_makes_no_difference_when_months_are_closed(
    books: Books, zone: str, uses: list[tuple[int, int, int]], topups: list[tuple[int, int, int | None]]
) -> None:
    """G1, G2: on their 1st, or all of them half a year later; and what was shown as unbilled is then billed."""
    twins = [await a_fleet(books, zone) for _ in range(2)]
    acts = [(day, which, messages, None, 0) for day, which, messages in uses]
    acts += [(day, 0, units, days, n + 1) for n, (day, units, days) in enumerate(topups)]
    months = [date(2026, month, 1) for month in range(1, 7)]
    for day, which, units, days, order in sorted(acts, key=lambda each: (each[0], each[4])):
        now = BEGINS + timedelta(days=day, hours=12)
        while closes_at(months[0], zone) <= now:
            await _closes_in_time(twins[0], months.pop(0), zone)
        for fleet in twins:
            if order:
                expires_at = None if days is None else now + timedelta(days=days)
                await fleet.buys(units, f"PO-{order}", expires_at=expires_at, now=now)
            else:
                await fleet.uses(which, units, at=now, now=now)
    for month in months:
        await _closes_in_time(twins[0], month, zone)
    await close(books, now=ENDS)
    assert await twins[0].bills() == await twins[1].bills()
    assert await whatever_it_is_it_adds_up(twins[1]) == excess_of(twins[1])


async def _closes_in_time(fleet: Fleet, month: date, zone: str) -> None:
    before = await statement(fleet.books, fleet.account_id, month, now=closes_at(month, zone))
    assert before is not None
    await close(fleet.books, account_id=fleet.account_id, now=closes_at(month, zone))
    after = await statement(fleet.books, fleet.account_id, month, now=closes_at(month, zone))
    assert after is not None
    assert after.closed_at == closes_at(month, zone)
    assert {kind: each.excess for kind, each in after.charges.items()} == {
        kind: each.excess for kind, each in before.charges.items()
    }


async def test_a_close_that_is_broken_off_anywhere_is_as_if_it_had_not_been(books: Books) -> None:
    """Between any two of its statements; whoever comes next does it all, and it comes to the same."""
    broken, whole = await a_fleet(books), await a_fleet(books)
    for fleet in (broken, whole):
        for day in (0, 20, 40):
            at = BEGINS + timedelta(days=day)
            await fleet.uses(day // 20, 25, at=at, now=at)
        await fleet.buys(17, "PO-1", expires_at=None, now=BEGINS)
    await close(books, account_id=whole.account_id, now=ENDS)
    interrupted = 0
    for n in range(1000):
        before = await broken.bills()
        closing = asyncio.create_task(close(books, through=date(2026, 1, 1), account_id=broken.account_id, now=ENDS))
        await asyncio.sleep(n / 2000)
        if not closing.cancel():
            assert (await closing).statements <= 1
            break
        await asyncio.gather(closing, return_exceptions=True)
        interrupted += 1
        after = await broken.bills()
        assert after == before or len(after[0]) == 1
    assert interrupted > 3
    await close(books, account_id=broken.account_id, now=ENDS)
    assert await broken.bills() == await whole.bills()
    assert await whatever_it_is_it_adds_up(broken) == excess_of(broken)
