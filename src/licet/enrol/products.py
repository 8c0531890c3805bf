"""Products are created, changed and deleted (rules C5, C6, D3, D4)."""

import secrets
import string
from datetime import datetime

from licet.accounts import By
from licet.assign import settle_one
from licet.events import Happening, Kind
from licet.postgres import accounts, audit, events, products
from licet.postgres.books import Books
from licet.products import Product, RenewalPolicy
from licet.refusals import Reason, Refused

_ALPHABET = string.ascii_letters + string.digits


def new_secret() -> str:
    """32 characters, 190 bits: what a product or a device proves itself with."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(32))


async def create_product(books: Books, *, account_id: str, name: str, by: By, now: datetime) -> tuple[Product, str]:
    """A new product and its secret, which is shown this once. Its key is random: unique across data centres."""
    product_key = "".join(secrets.choice(_ALPHABET) for _ in range(11))
    secret = new_secret()
    async with books.transaction() as books:
        if not by.sees(account_id) or await accounts.get(books, account_id) is None:
            raise Refused(Reason.NOT_FOUND, thing="account")
        await products.insert_product(
            books,
            product_key=product_key,
            account_id=account_id,
            name=name,
            sealed_secret=books.keyring.seal(secret, product_key),
            now=now,
        )
        await _tell(books, Kind.PRODUCT_CREATED, account_id, product_key, None, {"name": name}, by=by, now=now)
        product = await products.get(books, product_key, now=now)
        assert product is not None
        return product, secret


async def change_product(
    books: Books,
    product_key: str,
    *,
    name: str | None = None,
    auto_renewal: bool | None = None,
    renewal_policy: RenewalPolicy | None = None,
    dynamic_authentication: bool | None = None,
    by: By,
    now: datetime,
) -> Product:
    """Change what is given. Renewals due until now are settled by the old settings first."""
    async with books.transaction() as books:
        locked = await settle_one(books, product_key, by=by, now=now)
        before = await products.get(books, product_key, now=now)
        await products.change(
            books,
            locked.id,
            name=name,
            auto_renewal=auto_renewal,
            renewal_policy=renewal_policy,
            dynamic_authentication=dynamic_authentication,
        )
        after = await products.get(books, product_key, now=now)
        assert before is not None
        assert after is not None
        was, became = _settings(before), _settings(after)
        if was != became:
            await _tell(books, Kind.PRODUCT_CHANGED, after.account_id, product_key, was, became, by=by, now=now)
        return after


def _settings(product: Product) -> dict[str, object]:
    return {
        "name": product.name,
        "auto_renewal": product.auto_renewal,
        "renewal_policy": product.renewal_policy.value,
        "dynamic_authentication": product.dynamic_authentication,
    }


async def reset_product_secret(books: Books, product_key: str, *, by: By, now: datetime) -> str:
    """A new secret for a product, shown this once: the old one registers no device any more. Devices keep theirs."""
    secret = new_secret()
    async with books.transaction() as books:
        product = await settle_one(books, product_key, by=by, now=now)
        await products.set_secret(books, product.id, books.keyring.seal(secret, product_key))
        facts: dict[str, object] = {"product_secret": "reset"}
        await _tell(books, Kind.PRODUCT_CHANGED, product.account_id, product_key, None, facts, by=by, now=now)
    return secret


async def delete_product(books: Books, product_key: str, *, by: By, now: datetime) -> None:
    """Delete a product for good: its codes are forfeited and its devices hung up (rule C6)."""
    async with books.transaction() as books:
        await settle_one(books, product_key, by=by, now=now)
        product = await products.get(books, product_key, now=now)
        assert product is not None
        await products.delete(books, product.id, now=now)
        was: dict[str, object] = {
            "name": product.name,
            "available": product.codes.available,
            "consumed": product.codes.consumed,
        }
        await _tell(books, Kind.PRODUCT_DELETED, product.account_id, product_key, was, None, by=by, now=now)


async def _tell(
    books: Books,
    kind: Kind,
    account_id: str,
    product_key: str,
    before: dict[str, object] | None,
    after: dict[str, object] | None,
    *,
    by: By,
    now: datetime,
) -> None:
    await events.tell(books, [Happening(kind, account_id, product_key, after or before or {})], now=now)
    act = f"{kind.value.removeprefix('product_')} product"
    await audit.record(
        books, by=by, act=act, subject=product_key, before=before, after=after, account_id=account_id, now=now
    )
