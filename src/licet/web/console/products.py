"""Product Management: the products of an account, and one product with its codes and devices."""

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from licet import enrol
from licet.accounts import Scope
from licet.packages import upgrade_takes_effect_at
from licet.postgres import accounts, devices, packages, products
from licet.postgres.books import Books
from licet.products import Product, RenewalPolicy
from licet.refusals import Reason, Refused
from licet.upgrade import upgrade
from licet.web.console.desk import Looking, Managing, once
from licet.web.console.devices import asked_devices, device_keys_in
from licet.web.console.forms import Form, Said
from licet.web.console.turning import PAGE, place, turn

router = APIRouter(prefix="/accounts/{account_id}/products")
SECTION = "Product Management"
_LISTED = 200
_MOST_PACKAGES = 500


async def of_account(desk: Looking, product_key: str) -> Product:
    """The product of the path; another account's does not exist."""
    product = await products.get(desk.books, product_key, now=desk.ask.now)
    if product is None or product.account_id != desk.account_id:
        raise Refused(Reason.NOT_FOUND, thing="product")
    return product


Here = Annotated[Product, Depends(of_account)]


@router.get("")
async def overview(desk: Looking, search: str = "") -> Response:
    """Total, available, consumed; a card per product."""
    now, search = desk.ask.now, search.strip()[:100]
    codes = await accounts.codes(desk.books, desk.account_id, now=now)
    after = place(desk) or (0,)
    found = await products.page(
        desk.books, desk.account_id, search=search or None, after=after[0], limit=PAGE + 1, now=now
    )
    rows, cursor, first = turn(desk, found, lambda product: (product.id,))
    return desk.page(
        "products/list.html",
        section=SECTION,
        overview=codes,
        product_count=await products.count(desk.books, desk.account_id),
        products=rows,
        cursor=cursor,
        first=first,
        search=search,
    )


@router.get("/new")
async def new(desk: Managing) -> Response:
    return desk.page("products/new.html", section=SECTION, form=Form(), back=desk.here("products"))


@router.post("/new")
async def create(desk: Managing, request: Request) -> Response:
    form = await Form.of(request)
    name = form.text("name")
    if not form.is_right:
        return desk.page("products/new.html", section=SECTION, form=form, back=desk.here("products"), status=422)

    async def work(bound: Books) -> str:
        product, secret = await enrol.create_product(
            bound, account_id=desk.account_id, name=name, by=desk.by, now=desk.ask.now
        )
        return json.dumps([product.product_key, secret])

    product_key, secret = json.loads(await once(desk, form, work))
    said = Said("good", f"{name} is created.", "This is its product secret. It is shown this once.", secret)
    return desk.go(desk.here(f"products/{product_key}"), said)


@router.get("/{product_key}")
async def page(desk: Looking, product: Here) -> Response:
    """Codes of a product: its counters, its package in words, its devices."""
    facts = await asked_devices(desk, product)
    return desk.page("products/page.html", section=SECTION, product=product, tab="codes", **facts)


@router.get("/{product_key}/settings")
async def settings(desk: Looking, product: Here, listed_after: str = "") -> Response:
    return await _settings(desk, product, Form.empty(name=product.name), listed_after=listed_after)


async def _settings(
    desk: Looking, product: Product, form: Form, *, listed_after: str = "", status: int = 200
) -> Response:
    listed = await devices.not_renewing(desk.books, product.id, after=listed_after, limit=_LISTED + 1)
    return desk.page(
        "products/settings.html",
        section=SECTION,
        product=product,
        tab="settings",
        form=Form({"name": product.name} | dict(form.typed), form.wrong, form.said),
        not_renewing=listed[:_LISTED],
        more_not_renewing=len(listed) > _LISTED,
        status=status,
    )


@router.post("/{product_key}/name")
async def rename(desk: Managing, product: Here, request: Request) -> Response:
    form = await Form.of(request)
    name = form.text("name")
    if not form.is_right:
        return await _settings(desk, product, form, status=422)
    await enrol.change_product(desk.books, product.product_key, name=name, by=desk.by, now=desk.ask.now)
    return _kept(desk, product, f"It is called {name} now.")


@router.post("/{product_key}/renewal")
async def renewal(desk: Managing, product: Here, request: Request) -> Response:
    form = await Form.of(request)
    policy = form.word("renewal_policy", RenewalPolicy)
    if not form.is_right:
        return await _settings(desk, product, form, status=422)
    await enrol.change_product(
        desk.books,
        product.product_key,
        auto_renewal=form.switch("auto_renewal"),
        renewal_policy=policy,
        by=desk.by,
        now=desk.ask.now,
    )
    return _kept(desk, product, "Renewal is set.")


@router.post("/{product_key}/dynamic-authentication")
async def dynamic_authentication(desk: Managing, product: Here, request: Request) -> Response:
    form = await Form.of(request)
    on = form.switch("dynamic_authentication")
    await enrol.change_product(desk.books, product.product_key, dynamic_authentication=on, by=desk.by, now=desk.ask.now)
    return _kept(desk, product, f"Dynamic authentication is {'on' if on else 'off'}.")


@router.post("/{product_key}/no-renewal")
async def no_renewal(desk: Managing, product: Here, request: Request) -> Response:
    form = await Form.of(request)
    device_keys = device_keys_in(form, "device_keys")
    if form.is_right:
        try:
            await enrol.list_no_renewal(
                desk.books, product.product_key, device_keys, renews=False, by=desk.by, now=desk.ask.now
            )
        except Refused as refused:
            form.wrong["device_keys"] = str(refused)
    if not form.is_right:
        return await _settings(desk, product, form, status=422)
    return _kept(desk, product, "They go offline when their code ends.")


@router.post("/{product_key}/renews")
async def renews(desk: Managing, product: Here, request: Request) -> Response:
    form = await Form.of(request)
    device_keys = device_keys_in(form, "device_keys")
    await enrol.list_no_renewal(desk.books, product.product_key, device_keys, renews=True, by=desk.by, now=desk.ask.now)
    return _kept(desk, product, f"{device_keys[0]} renews again.")


@router.get("/{product_key}/secret")
async def secret_question(desk: Managing, product: Here) -> Response:
    return desk.page(
        "house/sure.html",
        section=SECTION,
        form=Form(),
        back=_settings_of(desk, product),
        question=f"Reset the secret of {product.name}?",
        what="Devices can no longer register with the present one. Those that have their own secret stay as they are.",
        act="Reset",
        bad=False,
    )


@router.post("/{product_key}/secret")
async def reset_secret(desk: Managing, product: Here) -> Response:
    secret = await enrol.reset_product_secret(desk.books, product.product_key, by=desk.by, now=desk.ask.now)
    said = Said("good", "There is a new product secret.", "It is shown this once.", secret)
    return desk.go(_settings_of(desk, product), said)


@router.get("/{product_key}/upgrade")
async def upgrade_preview(desk: Managing, product: Here) -> Response:
    return await _upgrade(desk, product, Form())


async def _upgrade(desk: Managing, product: Product, form: Form, *, status: int = 200) -> Response:
    if product.package is None:
        raise Refused(Reason.NO_PACKAGE_YET, product=product.name)
    current = product.package
    offered = [
        package
        for package in await packages.page(desk.books, limit=_MOST_PACKAGES)
        if package.id != current.id and (desk.by.may(Scope.OPERATE) or package.allowance.covers(current.allowance))
    ]
    return desk.page(
        "products/upgrade.html",
        section=SECTION,
        product=product,
        form=form,
        back=_settings_of(desk, product),
        packages=offered,
        takes_effect_at=upgrade_takes_effect_at(desk.ask.now, desk.zone),
        status=status,
    )


@router.post("/{product_key}/upgrade")
async def upgrade_it(desk: Managing, product: Here, request: Request) -> Response:
    form = await Form.of(request)
    package_id, force = form.text("package_id"), form.switch("force")
    if not form.is_right:
        return await _upgrade(desk, product, form, status=422)
    try:
        upgraded = await upgrade(
            desk.books, product.product_key, package_id=package_id, force=force, by=desk.by, now=desk.ask.now
        )
    except Refused as refused:
        form.said = Said.no(refused)
        return await _upgrade(desk, product, form, status=refused.reason.status)
    assert upgraded.package is not None
    return _kept(desk, product, f"{product.name} has the package “{upgraded.package.name}” now.")


@router.get("/{product_key}/delete")
async def delete_question(desk: Managing, product: Here) -> Response:
    codes = product.codes
    return desk.page(
        "house/sure.html",
        section=SECTION,
        form=Form(),
        back=_settings_of(desk, product),
        question=f"Delete {product.name}?",
        what=f"Its devices are cut off at once, and its {codes.available:,} codes that are left are gone for good.",
        act="Delete",
        bad=True,
    )


@router.post("/{product_key}/delete")
async def delete(desk: Managing, product: Here) -> Response:
    await enrol.delete_product(desk.books, product.product_key, by=desk.by, now=desk.ask.now)
    return desk.go(desk.here("products"), Said("good", f"{product.name} is deleted."))


def _settings_of(desk: Looking, product: Product) -> str:
    return desk.here(f"products/{product.product_key}/settings")


def _kept(desk: Managing, product: Product, sentence: str) -> Response:
    return desk.go(_settings_of(desk, product), Said("good", sentence))
