"""Enrol: accounts, products and devices are entered in the books, changed, and struck out."""

from licet.enrol.accounts import change_account, open_account
from licet.enrol.devices import (
    check_registration,
    delete_device,
    import_devices,
    list_no_renewal,
    register,
    reset_device,
)
from licet.enrol.products import change_product, create_product, delete_product, reset_product_secret

__all__ = [
    "change_account",
    "change_product",
    "check_registration",
    "create_product",
    "delete_device",
    "delete_product",
    "import_devices",
    "list_no_renewal",
    "open_account",
    "register",
    "reset_device",
    "reset_product_secret",
]
