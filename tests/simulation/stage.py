"""Where a story is played: the books, and which real keys, ids and secrets its names stand for."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.simulation.model import terms
from tests.simulation.model.usage import Message
from tests.simulation.model.world import Secret

from licet.accounts import PLATFORM, SCOPES, By, FreeCodes, Role
from licet.mint import define_package
from licet.packages import Allowance
from licet.postgres import packages
from licet.postgres.books import Books
from licet.postgres.counting import Known
from licet.postgres.usage import Claim
from licet.units import DayCount, Term

FREE_CODES = FreeCodes(10, 5, Allowance(Term(12, 0), 1500, 1, 7))
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOBODY = "acc_nobody"
NO_PACKAGE = "pkg_none"
NO_PRODUCT = "NoProduct00"


async def offer(books: Books) -> dict[str, str]:
    """Sales has its packages: name → id. That of the free codes comes with the first account."""
    made = {}
    for name, known in terms.CATALOGUE.items():
        if name != terms.FREE:
            term = Term(known.months, known.days, DayCount.THIRTY_360 if known.thirty else DayCount.CALENDAR)
            allowance = Allowance(term, known.messages, known.ota, known.storage)
            package = await define_package(books, name=name, allowance=allowance, by=PLATFORM, now=_LONG_AGO)
            made[name] = package.id
    return made


@dataclass
class Stage:
    books: Books
    packages: dict[str, str]  # name → id
    accounts: dict[str, str] = field(default_factory=dict)  # name → id
    products: dict[str, str] = field(default_factory=dict)  # name → product key
    secrets: dict[str, str] = field(default_factory=dict)  # what a model's secret stands for
    stream: list[Message] = field(default_factory=list)  # what went through, in order
    claims: set[Claim] = field(default_factory=set)  # every one ever made
    stalled: dict[str, Claim] = field(default_factory=dict)  # what a reader had claimed when it stalled
    known: defaultdict[str, Known] = field(default_factory=lambda: defaultdict(Known))  # to each reader

    async def package(self, name: str) -> str:
        if name not in self.packages:
            found = await packages.named(self.books, name)
            if found is None:
                return NO_PACKAGE
            self.packages[name] = found.id
        return self.packages[name]

    def account(self, name: str) -> str:
        return self.accounts.get(name, NOBODY)

    def product(self, name: str) -> str:
        return self.products.get(name, NO_PRODUCT)

    def real(self, secret: str) -> str:
        return self.secrets[secret] if isinstance(secret, Secret) else secret

    def by(self, name: str | None) -> By:
        """The operator, or the owner of an account."""
        if name is None:
            return PLATFORM
        return By(f"per_{name}", name, Role.OWNER, self.account(name), "127.0.0.1", SCOPES[Role.OWNER])


def same(real: object, expected: object, secrets: dict[str, str]) -> bool:
    """Whether an answer is the expected one; what a new secret stands for is learnt by the way."""
    if isinstance(expected, Secret):
        if not isinstance(real, str) or (expected not in secrets and real in secrets.values()):
            return False
        return secrets.setdefault(expected, real) == real
    if isinstance(expected, tuple):
        return (
            isinstance(real, tuple)
            and len(real) == len(expected)
            and all(same(r, e, secrets) for r, e in zip(real, expected, strict=True))
        )
    return bool(real == expected)
