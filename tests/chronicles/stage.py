"""The stage of a story: whom and what it has brought on, and the words in which something happens or follows."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from licet.accounts import SCOPES, By, Role
from licet.activations import Activation, Answer
from licet.firmware import Upgrade
from licet.postgres import activations
from licet.postgres.books import Books
from licet.refusals import Refused
from licet.report import Reported
from licet.sweep import Swept

Said = tuple[re.Pattern[str], Callable[..., Awaitable[None]]]
HAPPENS: list[Said] = []
FOLLOWS: list[Said] = []


Act = Callable[..., Awaitable[None]]


def happens(pattern: str) -> Callable[[Act], Act]:
    return _words(HAPPENS, pattern)


def follows(pattern: str) -> Callable[[Act], Act]:
    return _words(FOLLOWS, pattern)


def _words(said: list[Said], pattern: str) -> Callable[[Act], Act]:
    def remember(act: Act) -> Act:
        said.append((re.compile(pattern), act))
        return act

    return remember


@dataclass
class Stage:
    """What a story has brought on so far, by the names it uses, and what came of its last line."""

    books: Books
    now: datetime
    account_ids: dict[str, str] = field(default_factory=dict)
    package_ids: dict[str, str] = field(default_factory=dict)
    product_keys: dict[str, str] = field(default_factory=dict)
    product_secrets: dict[str, str] = field(default_factory=dict)
    of_product: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    account: str = ""
    product: str = ""
    device: str = ""
    answers: list[tuple[Answer, bool]] = field(default_factory=list)
    refused: Refused | None = None
    said: str = ""
    swept: Swept | None = None
    most: int | None = None
    upgrade: Upgrade | None = None
    refusals: list[Refused] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)
    month: date = date.min
    closed: int = 0
    orders: int = 0

    def alice(self, account: str) -> By:
        """Each account has an owner, who does what it does."""
        account_id = self.account_ids[account]
        return By(f"per_{account}", f"Alice of {account}", Role.OWNER, account_id, "192.0.2.1", SCOPES[Role.OWNER])

    def look_at(self, *, account: str = "", product: str = "", device: str = "") -> None:
        self.product = product or (self.of_product[device] if device else "")
        self.device, self.account = device, account or self.account

    async def spans(self, device: str) -> list[Activation]:
        return await activations.history(self.books, self.product_keys[self.of_product[device]], device)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def each(names: str) -> list[str]:
    """``a, b and c``; ``thermo1 to thermo4``."""
    if found := re.fullmatch(r"([a-z]+)(\d+) to \1(\d+)", names):
        return [f"{found[1]}{number}" for number in range(int(found[2]), int(found[3]) + 1)]
    return re.split(r", | and ", names)
