"""The first day with licet, in a real browser: from the sign-in link to a code that a device has consumed."""

import re

from doors.console.sitting import Console, Sitting
from playwright.async_api import Page

from licet.admit import admit
from licet.products import Knock


async def fill(page: Page, **fields: str) -> None:
    for name, text in fields.items():
        await page.locator(f"[name={name}]").fill(text)


async def figures(page: Page) -> dict[str, str]:
    """The counters on a page, as they are read."""
    pairs = await page.locator(".counts > div").all()
    return {await each.locator("dt").inner_text(): await each.locator("dd").first.inner_text() for each in pairs}


async def the_first_day(console: Console, sitting: Sitting) -> None:
    """The operator opens an account, credits a purchase and assigns it; a device knocks; it is seen."""
    page = sitting.page
    here = await opens_an_account(console, sitting)
    product_key = await creates_a_product(sitting)
    await credits_a_purchase(console, sitting)
    await page.goto(f"{here}/products/{product_key}")
    await assigns_codes(sitting)
    await imports_devices(sitting)
    assert (await figures(page))["Consumed"] == "0"
    await sees_a_code_consumed(console, sitting, product_key)


async def opens_an_account(console: Console, sitting: Sitting) -> str:
    page = sitting.page
    await console.signs_in(sitting, "olga")
    await fill(page, password="correct horse battery", again="correct horse battery")
    await page.get_by_role("button", name="Keep it").click()
    await sitting.sees("Your password is set.")

    await page.get_by_role("link", name="Open an account").click()
    await fill(page, name="Initech", time_zone="Europe/Berlin")
    await page.get_by_role("button", name="Open", exact=True).click()
    await sitting.sees("The account Initech is open.")
    assert await figures(page) == {"Total": "10", "Available": "10", "Consumed": "0", "Products": "0"}
    return page.url.removesuffix("/products")


async def creates_a_product(sitting: Sitting) -> str:
    page = sitting.page
    await page.get_by_role("link", name="Create a product").first.click()
    await fill(page, name="Thermostat")
    await page.get_by_role("button", name="Create", exact=True).click()
    await sitting.sees("Thermostat is created.")
    assert re.fullmatch(r"[A-Za-z0-9]{32}", await page.locator("#secret").inner_text())
    product_key = page.url.rpartition("/")[2]
    await page.reload()
    assert await page.locator("#secret").count() == 0
    return product_key


async def credits_a_purchase(console: Console, sitting: Sitting) -> None:
    page = sitting.page
    await page.goto(f"{console.url}/packages")
    await page.get_by_role("link", name="Define a package").click()
    await fill(page, name="Five years", term="P5Y")
    await page.get_by_role("button", name="Define", exact=True).click()
    await sitting.sees("The package Five years is defined.")

    await page.goto(f"{console.url}/lots")
    await page.get_by_role("link", name="Credit a purchase").click()
    await page.locator("[name=account_id]").select_option(label="Initech")
    await page.locator("[name=package_id]").select_option(index=0)
    await fill(page, quantity="1,000", order_reference="PO-1")
    await page.get_by_role("button", name="Credit", exact=True).click()
    await sitting.sees("1,000 codes are credited to Initech, unassigned.")


async def assigns_codes(sitting: Sitting) -> None:
    page = sitting.page
    await page.get_by_role("link", name="Add codes").click()
    await page.get_by_text("Five years").click()
    await fill(page, quantity="5000")
    await page.get_by_role("button", name="Assign", exact=True).click()
    await sitting.sees("5000 codes asked for, 1000 unassigned.")
    assert await page.locator("[name=quantity]").input_value() == "5000"
    await fill(page, quantity="500")
    await page.get_by_role("button", name="Assign", exact=True).click()
    await sitting.sees("500 codes are assigned to Thermostat.")


async def imports_devices(sitting: Sitting) -> None:
    page = sitting.page
    await page.get_by_role("link", name="Import devices").click()
    await fill(page, lines="8677\nno!\n867726030000017")
    await page.get_by_role("button", name="Import", exact=True).click()
    await sitting.sees("Line 2: a device key is 4 to 32 letters and digits.")
    await fill(page, lines="867726030000017, a-secret-of-its-own\n867726030000025")
    await page.get_by_role("button", name="Import", exact=True).click()
    await sitting.sees("2 devices imported")
    assert "867726030000017,a-secret-of-its-own" in await page.locator("#secrets").input_value()
    await page.get_by_role("link", name="Done").click()


async def sees_a_code_consumed(console: Console, sitting: Sitting, product_key: str) -> None:
    page = sitting.page
    knock = Knock(product_key, "867726030000017", "a-secret-of-its-own")
    (answer,) = await admit(console.books, [knock], now=console.clock())
    assert answer.admitted
    await page.reload()
    assert {k: v for k, v in (await figures(page)).items() if k != "Package"} == {
        "Total": "500",
        "Available": "499",
        "Consumed": "1",
    }
    await page.get_by_role("link", name="867726030000017").click()
    await sitting.sees("867726030000017 is active: connecting costs nothing.")
    await sitting.sees("10 Jan 2031, 13:00")  # five years later, on Berlin's clock
    assert await page.locator("time").first.get_attribute("title") == "2026-01-10 12:00:00 UTC"


async def test_the_first_day(console: Console) -> None:
    async with console.sitting() as sitting:
        await the_first_day(console, sitting)


async def test_the_first_day_without_javascript(console: Console) -> None:
    async with console.sitting(java_script_enabled=False) as sitting:
        await the_first_day(console, sitting)
