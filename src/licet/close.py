"""Close: on the 1st, in its own calendar, the month of every account comes to a statement (rules G1 to G6).

A closed month is never reopened: what arrives late is billed late, and says so. As with renewals, what time has made
true is written down in the order in which it became true: months that are over are closed, as of their end, and top-ups
that have expired are gone, before anything that would change what they come to. So it makes no difference when this
runs.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from licet.accounts import Account
from licet.allowances import Usage
from licet.events import Happening, Kind
from licet.excess import Topup, settle
from licet.postgres import accounts, events, ledger, ota, statements, storage, usage
from licet.postgres.books import Books
from licet.postgres.ledger import Row
from licet.postgres.statements import Due
from licet.statements import Charge, LedgerType, Line, Statement, closes_at, month_of, next_month

_BITE = 500  # accounts closed in one transaction


@dataclass(frozen=True, slots=True)
class Closing:
    """What one run closed: how many statements; and by month and kind, what they came to and what is owed of it."""

    statements: int = 0
    excess: Counter[tuple[date, Usage]] = field(default_factory=Counter)
    owed: Counter[tuple[date, Usage]] = field(default_factory=Counter)

    def __add__(self, other: "Closing") -> "Closing":
        return Closing(self.statements + other.statements, self.excess + other.excess, self.owed + other.owed)


def _to_nobody(closed: int) -> None:
    """Where nobody waits for it."""


async def close(
    books: Books,
    *,
    through: date | None = None,
    account_id: str | None = None,
    told: Callable[[int], None] = _to_nobody,
    now: datetime,
) -> Closing:
    """Close every month that is over, of one account or of all; up to ``through`` (a month's first day), if given.

    ``told``, as it goes on, how many statements were closed so far.

    1. Find accounts with a month that is over; those of one month and zone are closed together.
    2. Hold them, and see that nobody was faster.
    3. Write their statements, as of the end of the month, and settle these from their top-ups.
    4. Go on until no month is over. Last, write down which top-ups have expired by now.

    Safe to run twice, late, or on two machines at once; killed at any instant it has closed whole accounts.
    """
    asked = None if account_id is None else [account_id]
    closing = Closing()
    while due := [each for each in await statements.due(books, asked, most=_BITE, now=now) if _is_asked(each, through)]:
        _, together = next(groupby(due, lambda each: (each.month, each.time_zone)))
        async with books.transaction() as bound:
            ids = [each.account_id for each in together]
            closing += await _close_together(bound, ids, through=through, now=now)
        told(closing.statements)
    while asked is None and (expired := await ledger.with_expired(books, most=_BITE, now=now)):
        async with books.transaction() as bound:
            await statements.lock_accounts(bound, expired)
            await settle_bills(bound, expired, at=now)
    return closing


async def bring_up_to_date(books: Books, account_id: str, *, now: datetime) -> None:
    """Hold an account, with every month that is over closed and every top-up that has expired gone."""
    await statements.lock_accounts(books, [account_id])
    while await statements.due(books, [account_id], most=1, now=now):
        await _close_together(books, [account_id], through=None, now=now)
    await settle_bills(books, [account_id], at=now)


def _is_asked(due: Due, through: date | None) -> bool:
    return through is None or due.month <= through


async def _close_together(books: Books, account_ids: Sequence[str], *, through: date | None, now: datetime) -> Closing:
    """Close the first month that is over of accounts that have it, and their zone, in common."""
    await statements.lock_accounts(books, account_ids)
    found = await statements.due(books, account_ids, most=len(account_ids), now=now)
    due = [each for each in found if _is_asked(each, through)]  # somebody may have been faster
    if not due:
        return Closing()
    month, time_zone = due[0].month, due[0].time_zone
    ids = [each.account_id for each in due if (each.month, each.time_zone) == (month, time_zone)]
    ends_at = closes_at(month, time_zone)
    lines = await _write_parts(books, ids, month, from_month=month, time_zone=time_zone)
    lines += await _late_lines(books, ids, month, time_zone)
    counted = {stream: until for stream, (until, _) in (await usage.behind(books)).items()}
    await statements.insert_statements(books, ids, month, time_zone=time_zone, counted=counted, now=now)
    await statements.insert_lines(books, month, lines)
    await settle_bills(books, ids, at=ends_at)
    owed = {
        (each.account_id, each.usage): each.owed for each in await statements.owed(books, ids) if each.month == month
    }
    await events.tell(books, [_told(account_id, month, lines, owed) for account_id in ids], now=now)
    closing = Closing(len(ids))
    for _, line in lines:
        closing.excess[month, line.usage] += line.excess
    for (_, kind), units in owed.items():
        closing.owed[month, kind] += units
    return closing


async def _write_parts(
    books: Books, account_ids: Sequence[str], month: date, *, from_month: date, time_zone: str
) -> list[tuple[str, Line]]:
    """Write down, device by device and day by day, what these accounts used of a month beyond their allowances.

    Only what is on no statement yet; it goes on that of ``month``. Returns the lines it comes to, by account.
    """
    ends_at = closes_at(from_month, time_zone)
    written = {
        Usage.MESSAGES: await statements.insert_parts_of_messages(
            books, account_ids, month, from_month=from_month, time_zone=time_zone
        ),
        Usage.OTA: await statements.insert_parts_of_ota(
            books, account_ids, month, from_month=from_month, ends_at=ends_at
        ),
        Usage.STORAGE: await _write_storage(books, account_ids, month, from_month=from_month, ends_at=ends_at),
    }
    return [
        (account_id, Line(kind, from_month, excess))
        for kind, by_account in written.items()
        for account_id, excess in by_account.items()
    ]


async def _write_storage(
    books: Books, account_ids: Sequence[str], month: date, *, from_month: date, ends_at: datetime
) -> dict[str, int]:
    """What was kept longer than granted is known by product and day."""
    kept = [
        (each.product_key, each.on, each.drawn)
        for account_id in await statements.keepers(books, account_ids)
        for each in await storage.storage_used(
            books,
            account_id,
            first=from_month,
            last=next_month(from_month) - timedelta(days=1),
            whose="product",
            now=ends_at - timedelta(microseconds=1),
        )
        if each.product_key is not None and each.drawn.excess
    ]
    return await statements.insert_parts_of_storage(books, month, from_month=from_month, kept=kept) if kept else {}


async def _late_lines(books: Books, account_ids: Sequence[str], month: date, time_zone: str) -> list[tuple[str, Line]]:
    """What was counted of closed months after they were closed, and has not been billed since (rule G6)."""
    late = await statements.late(books, account_ids)
    lines: list[tuple[str, Line]] = []
    for from_month, those in groupby(late, lambda each: each[1]):
        ids = [account_id for account_id, _ in those]
        lines += await _write_parts(books, ids, month, from_month=from_month, time_zone=time_zone)
    for account_id, from_month in late:
        # What came late was kept from then on, and is on no statement of the months since either.
        while (from_month := next_month(from_month)) < month:
            ends_at = closes_at(from_month, time_zone)
            kept = await _write_storage(books, [account_id], month, from_month=from_month, ends_at=ends_at)
            lines += [(whose, Line(Usage.STORAGE, from_month, excess)) for whose, excess in kept.items()]
    await statements.late_no_more(books, late)
    return lines


async def settle_bills(books: Books, account_ids: Sequence[str], *, at: datetime) -> None:
    """Settle what held accounts owe from their top-ups as of an instant, the oldest bill first; one ledger row a bill.

    Top-ups that had expired by then are written off first, as of when they expired.
    """
    topups = await ledger.remaining(books, account_ids)
    balances = await ledger.balances(books, account_ids)
    rows: list[Row] = []
    drawn: dict[str, int] = {}
    for (account_id, kind), those in topups.items():
        for gone in sorted(those, key=lambda topup: topup.expires_at or at):
            if gone.expires_at is not None and gone.expires_at <= at:
                balances[account_id, kind] -= gone.left
                balance = balances[account_id, kind]
                rows.append(
                    Row(account_id, kind, gone.expires_at, LedgerType.EXPIRY, -gone.left, balance, reference=gone.id)
                )
                drawn[gone.id] = gone.left
        topups[account_id, kind] = [topup for topup in those if topup.id not in drawn]
    for owing in await statements.owed(books, account_ids):
        kind_of = owing.account_id, owing.usage
        settled = settle(owing.owed, topups.get(kind_of, []), at=at)
        if settled.settled:
            balances[kind_of] -= settled.settled
            rows.append(Row(*kind_of, at, LedgerType.BILL, -settled.settled, balances[kind_of], owing.month))
            topups[kind_of] = _less(topups[kind_of], dict(settled.drawn))
            for topup_id, quantity in settled.drawn:
                drawn[topup_id] = drawn.get(topup_id, 0) + quantity
    if rows:
        await ledger.draw_from(books, list(drawn.items()))
        await ledger.write_down(books, rows)


async def draw_excess(books: Books, account_id: str, units: int, *, now: datetime) -> int:
    """Take messages beyond the allowance from the top-ups of an account that blocks, as they happen (rules E4, G4).

    What they do not reach is owed at the end of the month. Returns how many are left.
    """
    await bring_up_to_date(books, account_id, now=now)
    kind_of = account_id, Usage.MESSAGES
    topups = (await ledger.remaining(books, [account_id])).get(kind_of, [])
    drawn = settle(units, topups, at=now)
    if drawn.settled:
        account = await accounts.get(books, account_id)
        assert account is not None
        month = month_of(now.astimezone(ZoneInfo(account.time_zone)).date())
        if latest := await statements.page(books, account_id, limit=1):  # an account that moved west may have closed it
            month = max(month, next_month(latest[0].month))
        balance = (await ledger.balances(books, [account_id]))[kind_of] - drawn.settled
        await ledger.draw_from(books, drawn.drawn)
        row = Row(*kind_of, now, LedgerType.EXCESS, -drawn.settled, balance, month)
        await ledger.write_down(books, [row])
    return sum(topup.left for topup in topups) - drawn.settled


def _less(topups: Sequence[Topup], drawn: Mapping[str, int]) -> list[Topup]:
    return [
        Topup(each.id, each.quantity, each.left - drawn.get(each.id, 0), each.expires_at, each.bought_at)
        for each in topups
    ]


def _told(
    account_id: str, month: date, lines: Sequence[tuple[str, Line]], owed: Mapping[tuple[str, Usage], int]
) -> Happening:
    kinds = {
        kind.value: {
            "excess": sum(line.excess for whose, line in lines if whose == account_id and line.usage is kind),
            "owed": owed.get((account_id, kind), 0),
        }
        for kind in Usage
    }
    return Happening(Kind.STATEMENT_CLOSED, account_id, facts={"month": f"{month:%Y-%m}", "kinds": kinds})


async def statement(books: Books, account_id: str, month: date, *, now: datetime) -> Statement | None:
    """One statement of an account; of a month that is not closed live figures, unbilled. None of any other month."""
    account = await accounts.get(books, account_id)
    if account is None:
        return None
    if found := await statements.page(books, account_id, month=month, limit=1):
        return (await _whole(books, found))[0]
    return await _live(books, account, month, now=now) if month in await unbilled(books, account, now=now) else None


async def unbilled(books: Books, account: Account, *, now: datetime) -> list[date]:
    """The months of an account that are not closed, the latest first: the one that runs, and what nobody closed yet."""
    zone = ZoneInfo(account.time_zone)
    latest = await statements.page(books, account.id, limit=1)
    month = next_month(latest[0].month) if latest else month_of(account.opened_at.astimezone(zone).date())
    months = []
    while month <= now.astimezone(zone).date():
        months.append(month)
        month = next_month(month)
    return months[::-1]


async def _live(books: Books, account: Account, month: date, *, now: datetime) -> Statement:
    last = next_month(month) - timedelta(days=1)
    messages = await usage.messages_used(books, account.id, first=month, last=last, by="month")
    upgrades = await ota.ota_used(books, account.id, first=month, last=last, by="month", now=now)
    kept = await storage.storage_used(books, account.id, first=month, last=last, by="month", now=now)
    excess = {
        Usage.MESSAGES: sum(each.drawn.excess for each in messages),
        Usage.OTA: sum(each.drawn.excess for each in upgrades),
        Usage.STORAGE: sum(each.drawn.excess for each in kept),
    }
    settled = await statements.settled(books, [(account.id, month)])
    charges = {kind: Charge(excess.get(kind, 0), settled.get((account.id, month, kind), 0)) for kind in Usage}
    lines = tuple(Line(kind, month, units) for kind, units in excess.items() if units)
    return Statement(account.id, month, account.time_zone, None, charges, lines)


async def latest_statements(
    books: Books, account_id: str, *, before: date | None = None, limit: int, now: datetime
) -> list[Statement]:
    """Statements of an account, the latest first, those that are not closed included. ``before``: a month."""
    account = await accounts.get(books, account_id)
    if account is None:
        return []
    months = [each for each in await unbilled(books, account, now=now) if before is None or each < before][:limit]
    live = [await _live(books, account, month, now=now) for month in months]
    earlier = None if before is None else (account_id, before)
    return live + await statements_of(books, account_id, before=earlier, limit=limit - len(live))


async def statements_of(
    books: Books, account_id: str | None, *, before: tuple[str, date] | None = None, limit: int
) -> list[Statement]:
    """Closed months of an account, or of all, the latest first. ``before``: account and month of the last one seen."""
    return await _whole(books, await statements.page(books, account_id, before=before, limit=limit))


async def _whole(books: Books, closed: Sequence[statements.Closed]) -> list[Statement]:
    months = [(each.account_id, each.month) for each in closed]
    lines = await statements.lines(books, months)
    settled = await statements.settled(books, months)
    whole = []
    for each in closed:
        own = lines.get((each.account_id, each.month), [])
        charges = {
            kind: Charge(
                sum(line.excess for line in own if line.usage is kind),
                settled.get((each.account_id, each.month, kind), 0),
            )
            for kind in Usage
        }
        whole.append(Statement(each.account_id, each.month, each.time_zone, each.closed_at, charges, tuple(own)))
    return whole
