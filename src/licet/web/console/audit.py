"""The audit log of an account: who changed what, before and after, when, from where."""

from fastapi import APIRouter, Response

from licet.postgres import audit
from licet.web.console.desk import Looking
from licet.web.console.forms import Form
from licet.web.console.turning import PAGE, place, turn

router = APIRouter(prefix="/accounts/{account_id}/audit")


@router.get("")
async def every(desk: Looking) -> Response:
    form = Form.asked(desk.ask.request)
    after = place(desk) or (None,)
    found = await audit.page(
        desk.books,
        desk.account_id,
        subject=form.typed.get("subject", "").strip()[:100] or None,
        since=form.day("from", desk.zone),
        until=form.day("to", desk.zone, after=1),
        after=after[0],
        limit=PAGE + 1,
    )
    rows, cursor, first = turn(desk, found, lambda change: (change.id,))
    return desk.page("audit/list.html", section="Audit", changes=rows, typed=form.typed, cursor=cursor, first=first)
