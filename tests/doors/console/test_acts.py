"""What people do in the console, and what it must not do."""

import asyncio
import re

import pytest
from axe_playwright_python.async_playwright import Axe
from doors.console.furnished import device_key, furnish
from doors.console.sitting import Console
from playwright.async_api import expect

from licet.lifecycle import DeviceState
from licet.postgres import audit, devices, lots, products

ASKED = re.compile(r"/sign-in\?back=")  # where a stranger is sent


async def test_a_viewer_looks_and_is_offered_no_act(console: Console) -> None:
    keys = await furnish(console)
    product = f"products/{keys['Thermostat']}"
    async with console.sitting() as sitting:
        await console.signs_in(sitting, "bob")
        for path in ("products", "codes", product, f"{product}/settings", "codes/near-expiry", "settings", "audit"):
            await sitting.page.goto(console.here(path))
            offered = sitting.page.locator("main form[method=post] button, main a.btn-primary, main a.btn-bad")
            seen = [await each.inner_text() for each in await offered.all() if await each.is_visible()]
            assert seen == [], (path, seen)
        for path in ("products/new", "codes/assign", f"{product}/delete", "people", "tokens"):
            answer = await sitting.page.goto(console.here(path))
            assert answer is not None
            assert answer.status == 403, path
        await sitting.page.goto(console.url)
        moved = await sitting.page.evaluate(
            "async (path) => (await fetch(path, {method: 'POST', redirect: 'manual'})).status",
            f"/accounts/{console.acme}/{product}/delete",
        )
        assert moved == 403
    assert await products.get(console.books, keys["Thermostat"], now=console.clock()) is not None


async def test_what_is_anothers_does_not_exist(console: Console) -> None:
    keys = await furnish(console)
    product = f"products/{keys['Thermostat']}"
    paths = (
        "products",
        "codes",
        product,
        f"{product}/settings",
        f"{product}/devices/{device_key(100)}",
        "people",
        "audit",
    )
    async with console.sitting() as sitting:
        await console.signs_in(sitting, "mallory")
        own = f"{console.url}/accounts/{console.globex}"
        for address in [console.here(path) for path in paths] + [f"{own}/{product}", f"{own}/{product}/settings"]:
            answer = await sitting.page.goto(address)
            assert answer is not None
            assert answer.status == 404, address
            assert "Thermostat" not in await sitting.page.content()
        for path in ("accounts", "packages", "lots"):
            answer = await sitting.page.goto(f"{console.url}/{path}")
            assert answer is not None
            assert answer.status == 403, path


async def test_a_stranger_is_asked_to_sign_in_and_comes_back(console: Console) -> None:
    await furnish(console)
    async with console.sitting() as sitting:
        page = sitting.page
        await console.signs_in(sitting, "alice")
        await page.locator("[name=password]").fill("short")
        await page.locator("[name=again]").fill("short")
        await page.get_by_role("button", name="Keep it").click()
        await page.locator("#password-wrong").wait_for()
        await page.locator("[name=password]").fill("correct horse battery")
        await page.locator("[name=again]").fill("correct horse battery")
        await page.get_by_role("button", name="Keep it").click()
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url("**/sign-in")
        await page.goto(console.here("audit"))
        await page.wait_for_url(ASKED)
        await page.locator("[name=email]").fill("alice@licet.example")
        await page.locator("[name=password]").fill("a wrong password")
        await page.get_by_role("button", name="Sign in").click()
        await sitting.sees("E-mail or password is wrong.")
        assert await page.locator("[name=email]").input_value() == "alice@licet.example"
        await page.locator("[name=password]").fill("correct horse battery")
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(console.here("audit"))


async def test_a_link_works_once(console: Console) -> None:
    async with console.sitting() as first, console.sitting() as second:
        await first.page.goto(f"{console.url}/sign-in/no-such-link")
        await first.page.get_by_role("button", name="Sign in").click()
        await first.sees("This sign-in link was used already or has expired.")
        await console.signs_in(second, "olga")


async def test_it_searches_as_one_types(console: Console) -> None:
    await furnish(console)
    async with console.sitting() as sitting:
        await console.signs_in(sitting, "alice")
        await sitting.page.goto(console.here("products"))
        assert await sitting.page.locator(".card-product").count() == 4
        await sitting.page.get_by_role("searchbox").press_sequentially("water")
        await expect(sitting.page.locator(".card-product")).to_have_count(1)
        await sitting.page.wait_for_url(re.compile(r"/products\?search=water$"))


async def test_colours_are_kept(console: Console) -> None:
    async with console.sitting(color_scheme="light") as sitting:
        page = sitting.page
        await console.signs_in(sitting, "alice")
        await page.goto(console.here("products"))
        paper = "getComputedStyle(document.body).backgroundColor"
        light = await page.evaluate(paper)
        async with page.expect_response("**/theme"):
            await page.get_by_role("button", name="Dark").click()
        assert await page.evaluate(paper) != light
        await page.goto(console.here("codes"))
        assert await page.locator("html").get_attribute("data-theme") == "dark"
        assert await page.evaluate(paper) != light


async def test_renewal_is_switched_in_bulk(console: Console) -> None:
    keys = await furnish(console)
    async with console.sitting() as sitting:
        page = sitting.page
        await console.signs_in(sitting, "alice")
        await page.goto(console.here("codes/near-expiry"))
        await page.get_by_label("All on this page").check()
        await page.get_by_role("button", name="Switch renewal off").click()
        await sitting.sees("devices renew no more.")
    device = await devices.get(console.books, keys["Thermostat"], device_key(12), now=console.clock())
    assert device is not None
    assert not device.renews


async def test_one_assignment_however_often_it_is_sent(console: Console) -> None:
    """Two tabs, two impatient clicks: the form carries a key of its own, and is done once (A10)."""
    keys = await furnish(console)
    async with console.sitting() as sitting:
        page = sitting.page
        await console.signs_in(sitting, "alice")
        await page.goto(console.here(f"codes/assign?product_key={keys['Thermostat']}"))
        await page.locator("[name=quantity]").fill("7")
        form = await page.evaluate("new URLSearchParams(new FormData(document.querySelector('#ask form'))).toString()")
        sends = [
            page.evaluate(
                "async ([path, body]) => (await fetch(path, {method: 'POST', body, redirect: 'manual',"
                " headers: {'content-type': 'application/x-www-form-urlencoded'}})).type",
                [f"/accounts/{console.acme}/codes/assign", form],
            )
            for _ in range(5)
        ]
        assert set(await asyncio.gather(*sends)) == {"opaqueredirect"}
    made = await lots.assignments(console.books, console.acme, limit=50)
    assert [each.quantity for each in made].count(7) == 1


async def test_all_that_is_malformed_is_marked_at_once(console: Console) -> None:
    async with console.sitting() as sitting:
        page = sitting.page
        await console.signs_in(sitting, "olga")
        await page.goto(f"{console.url}/packages/new")
        for name, text in {"name": "Too long a name " * 9, "term": "5 years", "messages_per_day": "-1"}.items():
            await page.locator(f"[name={name}]").fill(text)
        await page.get_by_role("button", name="Define", exact=True).click()
        await page.locator("#term-wrong").wait_for()
        assert await page.locator("[aria-invalid]").count() == 3
        assert await page.locator("[name=term]").input_value() == "5 years"


async def test_a_form_opens_as_a_dialog_and_says_no_in_it(console: Console) -> None:
    keys = await furnish(console)
    async with console.sitting() as sitting:
        page = sitting.page
        await console.signs_in(sitting, "alice")
        await page.goto(console.here(f"products/{keys['Thermostat']}"))
        await page.get_by_role("link", name="Add codes").click()
        dialog = page.get_by_role("dialog", name="Assign codes")
        await dialog.wait_for()
        assert await page.evaluate("document.activeElement.name") == "quantity"
        heard = list(sitting.complaints)
        assert (await Axe().run(page)).response["violations"] == []
        sitting.complaints[:] = heard
        await page.keyboard.type("9000")
        await page.keyboard.press("Enter")
        await dialog.get_by_text("9000 codes asked for, 380 unassigned.").wait_for()
        await page.keyboard.press("Escape")
        await dialog.wait_for(state="hidden")
        assert page.url == console.here(f"products/{keys['Thermostat']}")


@pytest.mark.parametrize("javascript", [True, False])
async def test_people_and_tokens_come_and_go(console: Console, *, javascript: bool) -> None:
    async with console.sitting(java_script_enabled=javascript) as sitting, console.sitting() as guest:
        page = sitting.page
        await console.signs_in(sitting, "alice")
        await page.goto(console.here("people"))
        await page.get_by_role("link", name="Invite somebody").click()
        await page.locator("[name=name]").fill("Max")
        await page.locator("[name=email]").fill("max@licet.example")
        await page.get_by_role("button", name="Invite", exact=True).click()
        await sitting.sees("Pass this link on to Max.")
        await guest.page.goto(await page.locator("#secret").inner_text())
        await guest.page.get_by_role("button", name="Sign in").click()
        await guest.page.wait_for_url("**/password")
        await page.get_by_role("link", name="Remove Max").click()
        await page.get_by_role("button", name="Remove", exact=True).click()
        await sitting.sees("Max is removed.")
        await guest.page.goto(console.here("products"))
        await guest.page.wait_for_url(ASKED)
        await page.get_by_role("link", name="Remove Alice").click()
        await page.get_by_role("button", name="Remove", exact=True).click()
        await sitting.sees("This is the last owner of the account.")

        await page.goto(console.here("tokens"))
        await page.get_by_role("link", name="Issue a token").first.click()
        await page.locator("[name=name]").fill("warehouse")
        await page.get_by_role("button", name="Issue", exact=True).click()
        await sitting.sees("The token warehouse is issued.")
        assert re.fullmatch(r"licet_\S{43}", await page.locator("#secret").inner_text())
        await page.get_by_role("link", name="Revoke warehouse").click()
        await page.get_by_role("button", name="Revoke", exact=True).click()
        await sitting.sees("The token warehouse is revoked.")
    acts = [change.act for change in await audit.page(console.books, console.acme, after=None, limit=50)]
    assert {"invite person", "remove person", "issue token", "revoke token"} <= set(acts)


async def test_a_product_is_set_and_deleted(console: Console) -> None:
    keys = await furnish(console)
    key = keys["Smoke detector"]
    async with console.sitting() as sitting:
        page = sitting.page
        await console.signs_in(sitting, "alice")
        await page.goto(console.here(f"products/{key}/settings"))
        await page.locator("[name=auto_renewal]").uncheck()
        await page.locator("[name=renewal_policy][value=on_connect]").check()
        await page.get_by_role("button", name="Keep").first.click()
        await sitting.sees("Renewal is set.")
        await page.get_by_role("link", name="Upgrade").click()
        await page.get_by_text("Five years, more messages").click()
        await page.get_by_role("button", name="Upgrade", exact=True).click()
        await sitting.sees("has the package “Five years, more messages” now.")
        await page.get_by_role("link", name="Reset the product secret").click()
        await page.get_by_role("button", name="Reset", exact=True).click()
        await sitting.sees("There is a new product secret.")
        changed = await products.get(console.books, key, now=console.clock())
        assert changed is not None
        assert (changed.auto_renewal, changed.renewal_policy) == (False, "on_connect")
        await page.get_by_role("link", name="Delete the product").click()
        await page.get_by_role("button", name="Delete", exact=True).click()
        await sitting.sees("Smoke detector is deleted.")
    assert await products.get(console.books, key, now=console.clock()) is None


async def test_a_device_is_reset_and_deleted(console: Console) -> None:
    keys = await furnish(console)
    async with console.sitting() as sitting:
        page = sitting.page
        await console.signs_in(sitting, "alice")
        await page.goto(console.here(f"products/{keys['Thermostat']}/devices/{device_key(100)}"))
        await page.get_by_role("link", name="Reset secret").click()
        await page.get_by_role("button", name="Reset", exact=True).click()
        await sitting.sees("The device has a new secret.")
        device = await devices.get(console.books, keys["Thermostat"], device_key(100), now=console.clock())
        assert device is not None
        assert (device.state, device.codes_consumed) == (DeviceState.ACTIVE, 1)
        await page.get_by_role("link", name="Delete").click()
        await page.get_by_role("button", name="Delete", exact=True).click()
        await sitting.sees(f"{device_key(100)} is deleted.")
