"""Excess Billing: what each month came to, what is settled of it, and what it is made of."""

from datetime import date

from fastapi import APIRouter, Request, Response

from licet import close
from licet.allowances import Usage
from licet.postgres.books import Books
from licet.refusals import Refused
from licet.statements import Settlement
from licet.topup import pay
from licet.web.api.statement_parts import PartsAsked, parts_of
from licet.web.api.statements import known_statement
from licet.web.console.desk import Desk, Looking, OperatingHere, once
from licet.web.console.forms import Form, Said
from licet.web.exports import Format
from licet.web.fields import MonthInPath

router = APIRouter(prefix="/accounts/{account_id}/billing")
SECTION = "Excess Billing"
_MONTHS = 12
_KINDS = {Usage.MESSAGES: "Messages", Usage.OTA: "OTA upgrades", Usage.STORAGE: "Storage, MiB-days"}


@router.get("")
async def months(desk: Looking, settlement: str = "") -> Response:
    """The latest months, and what is owed for those of them that are closed."""
    found = await close.latest_statements(desk.books, desk.account_id, limit=_MONTHS, now=desk.ask.now)
    closed = [each for each in found if each.closed_at is not None]
    return desk.page(
        "billing/list.html",
        section=SECTION,
        pending={kind: sum(each.charges[kind].owed for each in closed) for kind in Usage},
        statements=[each for each in found if settlement in ("", each.settlement)],
        kinds=_KINDS,
        settlement=settlement,
        settlements=list(Settlement),
    )


@router.get("/{month}")
async def one_month(desk: Looking, month: MonthInPath) -> Response:
    return await _month(desk, month, Form())


@router.post("/{month}/payments")
async def pay_it(desk: OperatingHere, month: MonthInPath, request: Request) -> Response:
    form = await Form.of(request)
    kind, quantity, reference = form.word("kind", Usage), form.whole("quantity"), form.text("reference")
    if not form.is_right:
        return await _month(desk, month, form, status=422)

    async def work(bound: Books) -> str:
        await pay(
            bound,
            account_id=desk.account_id,
            month=month,
            usage=kind,
            quantity=quantity,
            reference=reference,
            by=desk.by,
            now=desk.ask.now,
        )
        return reference

    try:
        await once(desk, form, work)
    except Refused as refused:
        form.said = Said.no(refused)
        return await _month(desk, month, form, status=refused.reason.status)
    return desk.go(desk.here(f"billing/{month:%Y-%m}"), Said("good", f"{quantity:,} of {kind} marked as paid."))


async def _month(desk: Desk, month: date, form: Form, *, status: int = 200) -> Response:
    found = await known_statement(desk.ask, desk.account_id, month)
    asked = PartsAsked(by="product", format=Format.JSON)
    parts = {kind: await parts_of(desk.ask, found, kind, asked) for kind in Usage}
    return desk.page(
        "billing/month.html",
        section=SECTION,
        statement=found,
        parts=parts,
        form=form,
        kinds=_KINDS,
        status=status,
    )
