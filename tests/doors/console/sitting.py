"""Somebody sits before a browser that nobody has used, and whatever is not right with a page fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page

from licet.accounts import PLATFORM, FreeCodes
from licet.invite import sign_in_link
from licet.packages import Allowance
from licet.postgres.books import Books
from licet.units import Term

NOON = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
FREE = FreeCodes(10, 5, Allowance(Term(12, 0), 1500, 1, 7))
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@dataclass
class Clock:
    """Stands still until somebody moves it."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Console:
    """A console that is served, its books and clock, and the links by which the cast signs in."""

    url: str
    books: Books
    clock: Clock
    acme: str
    globex: str
    people: dict[str, str]
    browser: Browser
    online: set[tuple[str, str]] = field(default_factory=set)

    def here(self, path: str) -> str:
        """The address of a page of Acme's."""
        return f"{self.url}/accounts/{self.acme}/{path}"

    @asynccontextmanager
    async def sitting(self, **settings: Any) -> AsyncIterator["Sitting"]:
        """Somebody who sits down before a browser that nobody has used; whatever is not right with a page fails."""
        context = await self.browser.new_context(**({"viewport": {"width": 1280, "height": 860}} | settings))
        context.set_default_timeout(10_000)
        sitting = Sitting(self, context, await context.new_page())
        sitting.watch()
        try:
            yield sitting
            assert not sitting.complaints, sitting.complaints
        finally:
            await context.close()

    async def signs_in(self, sitting: "Sitting", name: str) -> None:
        """With a link that was just made."""
        link, _ = await sign_in_link(self.books, self.people[name], hours=1, by=PLATFORM, now=self.clock())
        await sitting.page.goto(f"{self.url}/sign-in/{link}")
        await sitting.page.get_by_role("button", name="Sign in").click()
        await sitting.page.wait_for_url("**/password")


@dataclass
class Sitting:
    """One person, one browser profile, one page; and what the browser complained about."""

    console: Console
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """No error on the console (a breach of the policy is one), no request that leaves the host, none that fails."""
        url = self.console.url
        self.page.on("console", lambda said: self._complain(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.context.on("request", lambda sent: None if sent.url.startswith(url) else self._complain(sent.url))
        self.context.on(
            "response",
            lambda got: self._complain(f"{got.status} {got.url}") if got.status >= 500 else None,
        )

    def _complain(self, text: str) -> None:
        # A refusal is an answer like any other; the browser reports its status as an error of its own.
        if "the server responded with a status of 4" not in text:
            self.complaints.append(text)

    async def sees(self, text: str) -> None:
        await self.page.get_by_text(text, exact=False).first.wait_for()
