"""Every page there is: readable by everybody, in light and dark, on a desk and on a phone, and never sideways."""

import os
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from doors.console.furnished import device_key, furnish
from doors.console.sitting import Console, Sitting

PICTURES = os.environ.get("LICET_PICTURES")  # a folder to put a picture of every page in, to be looked at by people


def of_acme(keys: dict[str, str]) -> dict[str, str]:
    """What an owner of Acme can look at."""
    product = f"products/{keys['Thermostat']}"
    device = f"{product}/devices"
    return {
        "products": "products",
        "products-none": "products?search=nothing+like+it",
        "product-new": "products/new",
        "product": product,
        "product-filtered": f"{product}?state=active&expires_to=2026-03-01",
        "product-settings": f"{product}/settings",
        "product-upgrade": f"{product}/upgrade",
        "product-secret": f"{product}/secret",
        "product-delete": f"{product}/delete",
        "product-import": f"{product}/import",
        "product-without-codes": f"products/{keys['Gateway prototype']}",
        "device-active": f"{device}/{device_key(100)}",
        "device-virtual": f"{device}/DEBUG1",
        "device-new": f"{device}/867726039999999",
        "device-refused": f"products/{keys['Water meter']}/devices/{device_key(1)}",
        "device-reset": f"{device}/{device_key(100)}/reset",
        "device-delete": f"{device}/{device_key(100)}/delete",
        "devices": "devices",
        "codes": "codes",
        "assignments": "codes/assignments",
        "assign": "codes/assign",
        "assign-to": f"codes/assign?product_key={keys['Thermostat']}",
        "unassigned": "codes/unassigned",
        "near-expiry": "codes/near-expiry",
        "billing": "billing",
        "billing-unsettled": "billing?settlement=unsettled",
        "billing-month": "billing/2026-01",
        "people": "people",
        "person-new": "people/new",
        "tokens": "tokens",
        "token-new": "tokens/new",
        "audit": "audit",
        "settings": "settings",
        "not-there": "products/AAAAAAAAAAA",
    }


OF_OPERATORS = {
    "accounts": "accounts",
    "account-new": "accounts/new",
    "packages": "packages",
    "package-new": "packages/new",
    "lots": "lots",
    "lot-new": "lots/new",
}
OF_STRANGERS = {"sign-in": "sign-in", "sign-in-link": "sign-in/a-link"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page(console: Console, scheme: str) -> None:
    keys = await furnish(console)
    seats: list[tuple[str | None, dict[str, str]]] = [
        ("alice", {name: console.here(path) for name, path in of_acme(keys).items()}),
        ("olga", {name: f"{console.url}/{path}" for name, path in OF_OPERATORS.items()}),
        (None, {name: f"{console.url}/{path}" for name, path in OF_STRANGERS.items()}),
    ]
    wrong = []
    for who, pages in seats:
        async with console.sitting(color_scheme=scheme) as sitting:
            if who:
                await console.signs_in(sitting, who)
            for name, address in pages.items():
                wrong += await look_at(sitting, f"{name}-{scheme}", address)
    assert not wrong, "\n".join(wrong)


async def look_at(sitting: Sitting, name: str, address: str) -> list[str]:
    """What is wrong with a page."""
    page, wrong = sitting.page, []
    await page.set_viewport_size({"width": 1280, "height": 860})
    await page.goto(address)
    await _picture(sitting, f"{name}-desk")
    heard = list(sitting.complaints)
    found = await Axe().run(page)
    sitting.complaints[:] = heard  # the examiner's own styles are against the policy; the page's would have been heard
    wrong += [
        f"{name}: {each['id']} {[node['html'][:90] for node in each['nodes'][:3]]}"
        for each in found.response["violations"]
    ]
    if await _sideways(sitting):
        wrong.append(f"{name}: sideways on a desk")
    await page.set_viewport_size({"width": 390, "height": 844})
    if await _sideways(sitting):
        wrong.append(f"{name}: sideways on a phone")
    await _picture(sitting, f"{name}-phone", full_page=True)
    return wrong


async def _sideways(sitting: Sitting) -> bool:
    beyond: bool = await sitting.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return beyond


async def _picture(sitting: Sitting, name: str, *, full_page: bool = False) -> None:
    if PICTURES:
        await sitting.page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=full_page)
