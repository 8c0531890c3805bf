"""Packages: what codes allow. Defined by the operator, and never changed."""

from fastapi import APIRouter, Request, Response

from licet.mint import define_package
from licet.packages import Allowance
from licet.postgres import packages
from licet.refusals import Refused
from licet.units import DayCount
from licet.web.console.desk import Operating
from licet.web.console.forms import Form, Said
from licet.web.console.turning import PAGE, place, turn

router = APIRouter(prefix="/packages")
SECTION = "Packages"


@router.get("")
async def every(desk: Operating) -> Response:
    after = place(desk) or ("",)
    found = await packages.page(desk.books, after=after[0], limit=PAGE + 1)
    rows, cursor, first = turn(desk, found, lambda package: (package.name,))
    return desk.page("packages/list.html", section=SECTION, packages=rows, cursor=cursor, first=first)


@router.get("/new")
async def new(desk: Operating) -> Response:
    form = Form.empty(
        term="P1Y", day_count=DayCount.CALENDAR, messages_per_day="1500", ota_per_month="1", storage_days="7"
    )
    return desk.page("packages/new.html", section=SECTION, form=form, back="/packages")


@router.post("/new")
async def define(desk: Operating, request: Request) -> Response:
    form = await Form.of(request)
    name, day_count = form.text("name"), form.word("day_count", DayCount)
    allowance = Allowance(
        form.term("term", day_count),
        form.whole("messages_per_day", least=0),
        form.whole("ota_per_month", least=0),
        form.whole("storage_days", least=0),
    )
    if not form.is_right:
        return desk.page("packages/new.html", section=SECTION, form=form, back="/packages", status=422)
    try:
        await define_package(desk.books, name=name, allowance=allowance, by=desk.by, now=desk.ask.now)
    except Refused as refused:
        form.said = Said.no(refused)
        status = refused.reason.status
        return desk.page("packages/new.html", section=SECTION, form=form, back="/packages", status=status)
    return desk.go("/packages", Said("good", f"The package {name} is defined."))
