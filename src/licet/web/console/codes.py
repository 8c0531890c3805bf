"""Activation Code Management: the codes of an account, assigned and unassigned, and what was assigned when."""

from fastapi import APIRouter, Request, Response

from licet.assign import assign
from licet.packages import Package
from licet.postgres import accounts, lots, products
from licet.postgres.books import Books
from licet.products import Product
from licet.refusals import Reason, Refused
from licet.web.console.desk import Looking, Managing, once
from licet.web.console.forms import Form, Said
from licet.web.console.turning import PAGE, place, turn

router = APIRouter(prefix="/accounts/{account_id}/codes")
SECTION = "Activation codes"
_MOST_CHOICES = 200


@router.get("")
async def by_product(desk: Looking, search: str = "") -> Response:
    """Totals, unassigned, near expiry; the products with their package and codes."""
    now, search = desk.ask.now, search.strip()[:100]
    after = place(desk) or (0,)
    found = await products.page(
        desk.books, desk.account_id, search=search or None, after=after[0], limit=PAGE + 1, now=now
    )
    rows, cursor, first = turn(desk, found, lambda product: (product.id,))
    return desk.page(
        "codes/list.html",
        section=SECTION,
        tab="products",
        overview=await accounts.codes(desk.books, desk.account_id, now=now),
        products=rows,
        cursor=cursor,
        first=first,
        search=search,
    )


@router.get("/assignments")
async def history(desk: Looking, search: str = "") -> Response:
    """Every assignment that was made, the latest first (rule A10)."""
    form, search = Form.asked(desk.ask.request), search.strip()[:100]
    found = await lots.assignments(
        desk.books,
        desk.account_id,
        search=search or None,
        since=form.day("from", desk.zone),
        until=form.day("to", desk.zone, after=1),
        before=place(desk),
        limit=PAGE + 1,
    )
    rows, cursor, first = turn(desk, found, lambda each: (each.assigned_at, each.id))
    return desk.page(
        "codes/assignments.html",
        section=SECTION,
        tab="assignments",
        overview=await accounts.codes(desk.books, desk.account_id, now=desk.ask.now),
        assignments=rows,
        cursor=cursor,
        first=first,
        search=search,
        typed=form.typed,
    )


@router.get("/unassigned")
async def unassigned(desk: Looking) -> Response:
    found = await lots.unassigned(desk.books, desk.account_id, now=desk.ask.now)
    return desk.page("codes/unassigned.html", section=SECTION, form=Form(), back=desk.here("codes"), packages=found)


@router.get("/assign")
async def assign_form(desk: Managing, product_key: str = "") -> Response:
    return await _assign_form(desk, Form(), product_key)


async def _assign_form(desk: Managing, form: Form, product_key: str, *, status: int = 200) -> Response:
    """With a product: what fits it. Without one: a choice of products."""
    product = await _product(desk, product_key) if product_key else None
    choices = (
        [] if product else await products.page(desk.books, desk.account_id, limit=_MOST_CHOICES + 1, now=desk.ask.now)
    )
    fitting = await _fitting(desk, product)
    return desk.page(
        "codes/assign.html",
        section=SECTION,
        form=form,
        back=desk.here(f"products/{product_key}" if product else "codes"),
        product=product,
        products=[product] if product else choices,
        product_choices=[(each.product_key, f"{each.name} · {each.product_key}") for each in choices],
        most_choices=_MOST_CHOICES,
        packages=fitting,
        most=max((left for _, left in fitting), default=0),
        status=status,
    )


async def _product(desk: Managing, product_key: str) -> Product:
    product = await products.get(desk.books, product_key, now=desk.ask.now)
    if product is None or product.account_id != desk.account_id:
        raise Refused(Reason.NOT_FOUND, thing="product")
    return product


async def _fitting(desk: Managing, product: Product | None) -> list[tuple[Package, int]]:
    found = await lots.unassigned(desk.books, desk.account_id, now=desk.ask.now)
    if product is None or product.package is None:
        return found
    return [(package, left) for package, left in found if package.allowance == product.package.allowance]


@router.post("/assign")
async def assign_them(desk: Managing, request: Request) -> Response:
    form = await Form.of(request)
    package_id, quantity, product_key = form.text("package_id"), form.whole("quantity"), form.text("product_key")
    chosen = form.typed.get("chosen", "")
    if not form.is_right:
        return await _assign_form(desk, form, chosen, status=422)
    product = await _product(desk, product_key)

    async def work(bound: Books) -> str:
        done = await assign(
            bound, product_key=product_key, package_id=package_id, quantity=quantity, by=desk.by, now=desk.ask.now
        )
        return done.id

    try:
        await once(desk, form, work)
    except Refused as refused:
        form.said = Said.no(refused)
        return await _assign_form(desk, form, chosen, status=refused.reason.status)
    codes = "One code is" if quantity == 1 else f"{quantity:,} codes are"
    return desk.go(desk.here(f"products/{product_key}"), Said("good", f"{codes} assigned to {product.name}."))
