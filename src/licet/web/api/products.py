"""Products: their settings, their secret, their package, and which of their devices do not renew."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from licet import enrol
from licet.keep import keep_for
from licet.postgres import devices, products
from licet.postgres.books import Books
from licet.products import Product, RenewalPolicy
from licet.refusals import Reason, Refused
from licet.upgrade import upgrade
from licet.web.api.packages import PackageTold, package_told
from licet.web.fields import Asked, At, DeviceKeyInPath, Id, Line, Name, ProductKeyInPath, Switch, Told
from licet.web.once import once
from licet.web.paging import Page, Paged, page, place_of
from licet.web.problem import Malformed, WrongField
from licet.web.session import Ask, Managing, ManagingOnce, Reading

router = APIRouter(tags=["products"])


class ProductAsked(Asked):
    """``account_id``: whose product it will be; one's own if it is not said."""

    account_id: Id | None = None
    name: Name


class ProductChange(Asked):
    """Only what is given changes."""

    name: Name | None = None
    auto_renewal: Switch | None = None
    renewal_policy: RenewalPolicy | None = None
    dynamic_authentication: Switch | None = None
    keep_days: Annotated[
        int | None,
        Field(strict=True, ge=1, le=36_500, description="How long messages are kept; null: as the package grants."),
    ] = None


class UpgradeAsked(Asked):
    """``force``: an operator may also take something away."""

    package_id: Id
    force: Switch = False


class ProductCodes(Told):
    total: int
    available: int
    consumed: int


class ProductTold(Told):
    product_key: str
    account_id: str
    name: str
    auto_renewal: bool
    renewal_policy: RenewalPolicy
    dynamic_authentication: bool
    keep_days: int | None = Field(description="How long messages are kept, if that was set.")
    codes: ProductCodes
    package: PackageTold | None
    created_at: At


class PackageOfProduct(Told):
    """``counts_from``: the account's midnight from which its messages and OTA upgrades count."""

    package: PackageTold
    set_at: At
    counts_from: At
    set_by: str


class PackagesOfProduct(Told):
    data: list[PackageOfProduct]


class NewProductTold(ProductTold):
    product_secret: str = Field(description="Shown this once.")


class SecretTold(Told):
    product_key: str
    product_secret: str = Field(description="Shown this once.")


class NotRenewing(Told):
    device_key: str
    listed_at: At


class ProductsAsked(Paged):
    account_id: Id | None = None
    search: Annotated[Line | None, Field(description="Part of the name, or how the product key begins.")] = None


@router.post("/v1/products", status_code=201, response_model=NewProductTold)
async def create_product(asked: ProductAsked, ask: ManagingOnce) -> Response:
    """Create a product. Its secret is shown this once."""
    account_id = ask.account(asked.account_id)
    if account_id is None:
        raise Malformed([WrongField(where="body", field="account_id", sentence="An operator says for which account.")])

    async def work(books: Books) -> NewProductTold:
        product, secret = await enrol.create_product(
            books, account_id=account_id, name=asked.name, by=ask.by, now=ask.now
        )
        return NewProductTold(**dict(_told(product)), product_secret=secret)

    return await once(ask, work)


@router.get("/v1/products")
async def list_products(asked: Annotated[ProductsAsked, Query()], ask: Reading) -> Page[ProductTold]:
    """Products, in the order in which they were created."""
    found = await products.page(
        ask.books,
        ask.account(asked.account_id),
        search=asked.search,
        after=(place_of(ask, asked) or (0,))[0],
        limit=asked.limit + 1,
        now=ask.now,
    )
    return page(ask, asked, found, lambda each: (each.id,), _told)


@router.get("/v1/products/{pk}")
async def get_product(pk: ProductKeyInPath, ask: Reading) -> ProductTold:
    """One product."""
    return _told(await seen(ask, pk))


@router.patch("/v1/products/{pk}")
async def change_product(pk: ProductKeyInPath, asked: ProductChange, ask: Managing) -> ProductTold:
    """Change a product's settings."""
    async with ask.books.transaction() as books:
        if "keep_days" in asked.model_fields_set:
            await keep_for(books, pk, asked.keep_days, by=ask.by, now=ask.now)
        changed = await enrol.change_product(
            books,
            pk,
            name=asked.name,
            auto_renewal=asked.auto_renewal,
            renewal_policy=asked.renewal_policy,
            dynamic_authentication=asked.dynamic_authentication,
            by=ask.by,
            now=ask.now,
        )
    return _told(changed)


@router.delete("/v1/products/{pk}", status_code=204)
async def delete_product(pk: ProductKeyInPath, ask: Managing) -> None:
    """Delete a product. Its codes are forfeited, and its devices connect no more."""
    await enrol.delete_product(ask.books, pk, by=ask.by, now=ask.now)


@router.post("/v1/products/{pk}/secret", status_code=201, response_model=SecretTold)
async def reset_product_secret(pk: ProductKeyInPath, ask: ManagingOnce) -> Response:
    """Give a product another secret, shown this once. Devices that have their own are not concerned."""

    async def work(books: Books) -> SecretTold:
        secret = await enrol.reset_product_secret(books, pk, by=ask.by, now=ask.now)
        return SecretTold(product_key=pk, product_secret=secret)

    return await once(ask, work)


@router.post("/v1/products/{pk}/upgrade", status_code=200, response_model=ProductTold)
async def upgrade_product(pk: ProductKeyInPath, asked: UpgradeAsked, ask: ManagingOnce) -> Response:
    """Give a product another package, for all its devices and all its unconsumed codes at once."""

    async def work(books: Books) -> ProductTold:
        upgraded = await upgrade(books, pk, package_id=asked.package_id, force=asked.force, by=ask.by, now=ask.now)
        return _told(upgraded)

    return await once(ask, work, status=200)


@router.get("/v1/products/{pk}/packages")
async def list_packages_of_product(pk: ProductKeyInPath, ask: Reading) -> PackagesOfProduct:
    """Every package that a product ever had, the first one first."""
    product = await seen(ask, pk)
    had = await products.packages_of(ask.books, product.id)
    return PackagesOfProduct(
        data=[
            PackageOfProduct(package=package_told(package), set_at=set_at, counts_from=counts_from, set_by=set_by)
            for package, set_at, counts_from, set_by in had
        ]
    )


@router.get("/v1/products/{pk}/no-renewal")
async def list_no_renewal(pk: ProductKeyInPath, asked: Annotated[Paged, Query()], ask: Reading) -> Page[NotRenewing]:
    """The devices of a product that do not renew, by key."""
    product = await seen(ask, pk)
    after = (place_of(ask, asked) or ("",))[0]
    found = await devices.not_renewing(ask.books, product.id, after=after, limit=asked.limit + 1)
    return page(
        ask, asked, found, lambda each: (each[0],), lambda each: NotRenewing(device_key=each[0], listed_at=each[1])
    )


@router.put("/v1/products/{pk}/no-renewal/{dk}", status_code=204)
async def stop_renewing(pk: ProductKeyInPath, dk: DeviceKeyInPath, ask: Managing) -> None:
    """Put a device on the list of those that do not renew."""
    await enrol.list_no_renewal(ask.books, pk, [dk], renews=False, by=ask.by, now=ask.now)


@router.delete("/v1/products/{pk}/no-renewal/{dk}", status_code=204)
async def resume_renewing(pk: ProductKeyInPath, dk: DeviceKeyInPath, ask: Managing) -> None:
    """Take a device off the list of those that do not renew."""
    await enrol.list_no_renewal(ask.books, pk, [dk], renews=True, by=ask.by, now=ask.now)


async def seen(ask: Ask, product_key: str) -> Product:
    """The product, if it exists for whoever asks."""
    product = await products.get(ask.books, product_key, now=ask.now)
    if product is None or not ask.by.sees(product.account_id):
        raise Refused(Reason.NOT_FOUND, thing="product")
    return product


def _told(product: Product) -> ProductTold:
    return ProductTold(
        product_key=product.product_key,
        account_id=product.account_id,
        name=product.name,
        auto_renewal=product.auto_renewal,
        renewal_policy=product.renewal_policy,
        dynamic_authentication=product.dynamic_authentication,
        keep_days=product.keep_days,
        codes=ProductCodes(
            total=product.codes.total, available=product.codes.available, consumed=product.codes.consumed
        ),
        package=package_told(product.package) if product.package else None,
        created_at=product.created_at,
    )
