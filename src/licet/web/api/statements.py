"""Statements: what each month came to, what is settled of it, and what it is made of (rules G1, G3, G5, G6)."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from licet import close
from licet.allowances import Usage
from licet.postgres import accounts, packages
from licet.postgres.books import Books
from licet.refusals import Reason, Refused
from licet.statements import Billing, Charge, Settlement, Statement, begins_at, closes_at
from licet.topup import pay
from licet.web.api.topups import Units
from licet.web.exports import ALSO, Format, Row, each_of, export, format_of
from licet.web.fields import Asked, At, Id, IdInPath, MonthInPath, Name, Told
from licet.web.once import once
from licet.web.paging import MOST, Page, Paged, page, place_of
from licet.web.session import Ask, OperatingOnce, Reading

router = APIRouter(tags=["statements"])

_MONTHS = 12
_HEADINGS = (
    *("account_id", "month", "time_zone", "billing", "settlement", "closed_at"),
    *("row", "kind", "from_month", "excess", "settled", "owed"),
)


class ChargeTold(Told):
    """Excess = settled + owed."""

    excess: int
    settled: int
    owed: int


class ChargesTold(Told):
    messages: ChargeTold
    ota: ChargeTold
    storage: ChargeTold


class LineTold(Told):
    """``from_month``: the month it was used in; an earlier one where it was counted after that was closed."""

    kind: Usage
    from_month: Annotated[str, Field(examples=["2026-01"])]
    excess: int


class StatementTold(Told):
    """While a month is not closed its figures are live, and unbilled. The lines of a kind add up to its excess."""

    account_id: str
    month: Annotated[str, Field(examples=["2026-01"])]
    billing: Billing
    settlement: Settlement
    kinds: ChargesTold
    lines: list[LineTold]
    closed_at: At | None
    time_zone: str


class CountingTold(Told):
    """A package that a product's messages and OTA upgrades counted by in this month, and since when: a later
    package, since a midnight.
    """

    product_key: str
    product_name: str
    package_id: str
    package_name: str
    messages_per_day: int
    ota_per_month: int
    storage_days: int
    counts_from: At


class StatementAndPackagesTold(StatementTold):
    """With ``packages``: of every product, those that counted in this month, in the order in which they did."""

    packages: list[CountingTold]


class OneAsked(Asked):
    format: Annotated[Format | None, Field(description="JSON, or what Accept names.")] = None


class StatementsAsked(Paged):
    limit: Annotated[int, Field(ge=1, le=MOST, description="How many at once.")] = _MONTHS
    account_id: Id | None = None
    format: Annotated[Format | None, Field(description="CSV and XLSX hold this page.")] = None


class PaymentAsked(Asked):
    """The same reference again, for the same, is the same payment."""

    kind: Usage
    quantity: Units
    reference: Name


@router.get("/v1/statements", response_model=Page[StatementTold], responses=ALSO)
async def list_statements(asked: Annotated[StatementsAsked, Query()], ask: Reading) -> Page[StatementTold] | Response:
    """Statements, the latest month first; of one account the running month, too. Of all accounts: closed months."""
    account_id = ask.account(asked.account_id)
    before = place_of(ask, asked)
    behind = None if before is None else (before[0], date.fromisoformat(before[1]))
    if account_id is None:
        found = await close.statements_of(ask.books, None, before=behind, limit=asked.limit + 1)
    else:
        await _account(ask, account_id)
        found = await close.latest_statements(
            ask.books, account_id, before=behind[1] if behind else None, limit=asked.limit + 1, now=ask.now
        )
    listed = page(ask, asked, found, lambda each: (each.account_id, each.month.isoformat()), told)
    format_ = format_of(ask.request, asked.format)
    if format_ is Format.JSON:
        return listed
    return export(format_, f"statements-{account_id or 'all'}", _HEADINGS, each_of(_rows(listed.data)), now=ask.now)


@router.get("/v1/statements/{account_id}/{month}", response_model=StatementAndPackagesTold, responses=ALSO)
async def get_statement(
    account_id: IdInPath, month: MonthInPath, asked: Annotated[OneAsked, Query()], ask: Reading
) -> StatementAndPackagesTold | Response:
    """One month of an account, and by which packages it was counted."""
    found = await known_statement(ask, account_id, month)
    said = StatementAndPackagesTold(**dict(told(found)), packages=await _packages(ask, found))
    format_ = format_of(ask.request, asked.format)
    if format_ is Format.JSON:
        return said
    return export(format_, f"statement-{account_id}-{said.month}", _HEADINGS, each_of(_rows([said])), now=ask.now)


@router.post("/v1/statements/{account_id}/{month}/payments", status_code=201, response_model=StatementTold)
async def pay_statement(account_id: IdInPath, month: MonthInPath, asked: PaymentAsked, ask: OperatingOnce) -> Response:
    """Mark so many units of a bill as paid, all that is owed or a part. Answered with the statement as it is then."""

    async def work(books: Books) -> StatementTold:
        await pay(
            books,
            account_id=account_id,
            month=month,
            usage=asked.kind,
            quantity=asked.quantity,
            reference=asked.reference,
            by=ask.by,
            now=ask.now,
        )
        paid = await close.statement(books, account_id, month, now=ask.now)
        assert paid is not None
        return told(paid)

    return await once(ask, work)


async def _packages(ask: Ask, statement: Statement) -> list[CountingTold]:
    since = begins_at(statement.month, statement.time_zone)
    until = closes_at(statement.month, statement.time_zone)
    return [
        CountingTold(
            product_key=each.product_key,
            product_name=each.product_name,
            package_id=each.package.id,
            package_name=each.package.name,
            messages_per_day=each.package.allowance.messages_per_day,
            ota_per_month=each.package.allowance.ota_per_month,
            storage_days=each.package.allowance.storage_days,
            counts_from=each.counts_from,
        )
        for each in await packages.counting(ask.books, statement.account_id, since=since, until=until)
    ]


async def known_statement(ask: Ask, account_id: str, month: date) -> Statement:
    await _account(ask, account_id)
    found = await close.statement(ask.books, account_id, month, now=ask.now)
    if found is None:
        raise Refused(Reason.NOT_FOUND, thing="statement")
    return found


async def _account(ask: Ask, account_id: str) -> None:
    if not ask.by.sees(account_id) or await accounts.get(ask.books, account_id) is None:
        raise Refused(Reason.NOT_FOUND, thing="account")


def told(statement: Statement) -> StatementTold:
    charges = {kind.value: _charge(statement.charges[kind]) for kind in Usage}
    return StatementTold(
        account_id=statement.account_id,
        month=f"{statement.month:%Y-%m}",
        billing=statement.billing,
        settlement=statement.settlement,
        kinds=ChargesTold(**charges),
        lines=[
            LineTold(kind=line.usage, from_month=f"{line.from_month:%Y-%m}", excess=line.excess)
            for line in statement.lines
        ],
        closed_at=statement.closed_at,
        time_zone=statement.time_zone,
    )


def _charge(charge: Charge) -> ChargeTold:
    return ChargeTold(excess=charge.excess, settled=charge.settled, owed=charge.owed)


def _rows(said: Iterable[StatementTold]) -> Iterable[Row]:
    """A row for each kind (``total``), and one for each line of it (``line``)."""
    for each in said:
        head = (each.account_id, each.month, each.time_zone, each.billing, each.settlement, each.closed_at)
        for kind in Usage:
            charge: ChargeTold = getattr(each.kinds, kind.value)
            yield (*head, "total", kind, None, charge.excess, charge.settled, charge.owed)
            for line in each.lines:
                if line.kind is kind:
                    yield (*head, "line", kind, line.from_month, line.excess, None, None)
