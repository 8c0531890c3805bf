"""The page that shows the API works under the same policy as every other, and asks no other host for anything."""

from doors.console.sitting import Console


async def test_the_api_page(console: Console) -> None:
    async with console.sitting() as sitting:
        await sitting.page.goto(f"{console.url}/docs")
        await sitting.sees("/v1/products")
        await sitting.page.get_by_text("/v1/assignments").first.click()
        await sitting.sees("Idempotency-Key")
