"""Excess Billing: what the pages show is what the API says, operators mark it as paid, others only look."""

from datetime import UTC, datetime

from doors.api.test_usage import counted
from doors.console.furnished import device_key, furnish
from doors.console.sitting import NOON, Console

from licet.close import close
from licet.meter import fold

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)


async def in_excess(console: Console) -> None:
    """January is closed, with messages beyond what was allowed."""
    keys = await furnish(console)
    await counted(console.books, keys["Thermostat"], device_key(100), 50_000, 0, NOON)
    await fold(console.books, now=NOON)
    console.clock.now = max(console.clock.now, FEBRUARY)
    await close(console.books, now=console.clock.now)


async def test_a_bill_is_looked_at_and_paid(console: Console) -> None:
    await in_excess(console)
    async with console.sitting(java_script_enabled=False) as sitting:
        await console.signs_in(sitting, "olga")
        page = sitting.page
        told = await (await page.request.get(f"{console.url}/v1/statements/{console.acme}/2026-01?format=json")).json()
        owed = told["kinds"]["messages"]["owed"]
        assert owed > 0
        await page.goto(console.here("billing"))
        assert f"{owed:,}" in await page.get_by_label("Pending settlement").inner_text()
        await page.goto(console.here("billing?settlement=settled"))
        assert await page.get_by_role("link", name="2026-01").count() == 0
        await page.goto(console.here("billing/2026-01"))
        shown = await page.get_by_role("region", name="Messages").locator(".counts dd").all_inner_texts()
        assert shown == [f"{told['kinds']['messages'][each]:,}" for each in ("excess", "settled", "owed")]
        for quantity, seen in ((owed + 1, "owed"), (owed, "marked as paid")):
            await page.locator("[name=quantity]").fill(str(quantity))
            await page.locator("[name=reference]").fill("transfer 1")
            await page.get_by_role("button", name="Mark as paid").click()
            await page.locator(".said", has_text=seen).wait_for()
        shown = await page.get_by_role("region", name="Messages").locator(".counts dd").all_inner_texts()
        assert shown == [f"{owed:,}", f"{owed:,}", "0"]


async def test_others_only_look_and_strangers_see_nothing(console: Console) -> None:
    await in_excess(console)
    for who, status in (("bob", 200), ("mallory", 404)):
        async with console.sitting() as sitting:
            await console.signs_in(sitting, who)
            for path in ("billing", "billing/2026-01"):
                answer = await sitting.page.goto(console.here(path))
                assert answer is not None
                assert answer.status == status
                assert await sitting.page.get_by_role("button", name="Mark as paid").count() == 0
            await sitting.page.goto(console.url)
            moved = await sitting.page.evaluate(
                "async (path) => (await fetch(path, {method: 'POST', redirect: 'manual'})).status",
                f"/accounts/{console.acme}/billing/2026-01/payments",
            )
            assert moved == 403
