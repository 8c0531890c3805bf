"""Purchases: what was credited to whom, and crediting another one (rule A9)."""

from fastapi import APIRouter, Request, Response

from licet.mint import credit
from licet.postgres import accounts, lots, packages, products
from licet.products import PRODUCT_KEY
from licet.refusals import Refused
from licet.web.console.desk import Operating
from licet.web.console.forms import Form, Said
from licet.web.console.turning import PAGE, place, turn

router = APIRouter(prefix="/lots")
SECTION = "Purchases"
_MOST_CHOICES = 500


@router.get("")
async def every(desk: Operating) -> Response:
    found = await lots.page(desk.books, None, before=place(desk), limit=PAGE + 1)
    rows, cursor, first = turn(desk, found, lambda lot: (lot.credited_at, lot.id))
    owners = {each: await accounts.get(desk.books, each) for each in {lot.account_id for lot in rows}}
    kinds = {each: await packages.get(desk.books, each) for each in {lot.package_id for lot in rows}}
    return desk.page(
        "lots/list.html", section=SECTION, lots=rows, accounts=owners, packages=kinds, cursor=cursor, first=first
    )


@router.get("/new")
async def new(desk: Operating, account_id: str = "", product_key: str = "") -> Response:
    return await _new(desk, Form.empty(account_id=account_id, product_key=product_key))


async def _new(desk: Operating, form: Form, *, status: int = 200) -> Response:
    owners = await accounts.page(desk.books, limit=_MOST_CHOICES)
    offered = await packages.page(desk.books, limit=_MOST_CHOICES)
    return desk.page(
        "lots/new.html",
        section=SECTION,
        form=form,
        back="/lots",
        accounts=[(each.id, each.name) for each in owners],
        packages=[(each.id, f"{each.name}: {each.allowance.in_words()}") for each in offered],
        status=status,
    )


@router.post("/new")
async def credit_it(desk: Operating, request: Request) -> Response:
    """Credit a purchase. The same order again changes nothing, so it needs no key of its own."""
    form = await Form.of(request)
    account_id, package_id = form.text("account_id"), form.text("package_id")
    quantity, order_reference = form.whole("quantity"), form.text("order_reference")
    product_key = form.typed.get("product_key", "").strip()
    if product_key and not PRODUCT_KEY.fullmatch(product_key):
        form.wrong["product_key"] = "A product key is 11 letters and digits."
    account = await accounts.get(desk.books, account_id) if account_id else None
    if account is None:
        form.wrong["account_id"] = "Choose one."
    # The day that is named still counts: codes are good until it is over on the account's clock.
    use_by = form.day("use_by", account.time_zone if account else "UTC", after=1)
    if use_by is not None and use_by <= desk.ask.now:
        form.wrong["use_by"] = "This day is over."
    if not form.is_right or account is None:
        return await _new(desk, form, status=422)
    try:
        await credit(
            desk.books,
            account_id=account_id,
            product_key=product_key or None,
            package_id=package_id,
            quantity=quantity,
            order_reference=order_reference,
            use_by=use_by,
            by=desk.by,
            now=desk.ask.now,
        )
    except Refused as refused:
        form.said = Said.no(refused)
        return await _new(desk, form, status=refused.reason.status)
    product = await products.get(desk.books, product_key, now=desk.ask.now) if product_key else None
    whom = product.name if product else f"{account.name}, unassigned"
    to = f"/accounts/{account_id}/products/{product_key}" if product else f"/accounts/{account_id}/codes"
    return desk.go(to, Said("good", f"{quantity:,} codes are credited to {whom}.", f"Order {order_reference}."))
