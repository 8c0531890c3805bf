"""Packages: what one code allows. Defined by the operator, seen by all."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field, ValidationInfo, field_validator

from licet import mint
from licet.packages import Allowance, Package
from licet.postgres import packages
from licet.postgres.books import Books
from licet.units import DayCount, Term
from licet.web.fields import Asked, Days, Figure, Name, Told
from licet.web.once import once
from licet.web.paging import Page, Paged, page, place_of
from licet.web.session import OperatingOnce, Reading

router = APIRouter(tags=["packages"])


class PackageAsked(Asked):
    name: Name
    day_count: DayCount = DayCount.CALENDAR
    term: Annotated[str, Field(max_length=20, examples=["P5Y"])]
    messages_per_day: Figure
    ota_per_month: Figure
    storage_days: Days

    @field_validator("term")
    @classmethod
    def is_a_term(cls, text: str, others: ValidationInfo) -> str:
        Term.parse(text, others.data.get("day_count", DayCount.CALENDAR))
        return text

    def allowance(self) -> Allowance:
        term = Term.parse(self.term, self.day_count)
        return Allowance(term, self.messages_per_day, self.ota_per_month, self.storage_days)


class PackageTold(Told):
    id: str
    name: str
    term: str = Field(examples=["P5Y"])
    day_count: DayCount
    messages_per_day: int
    ota_per_month: int
    storage_days: int


@router.post("/v1/packages", status_code=201, response_model=PackageTold)
async def define_package(asked: PackageAsked, ask: OperatingOnce) -> Response:
    """Define a package. It never changes: a product is upgraded to another one instead."""

    async def work(books: Books) -> PackageTold:
        defined = await mint.define_package(books, name=asked.name, allowance=asked.allowance(), by=ask.by, now=ask.now)
        return package_told(defined)

    return await once(ask, work)


@router.get("/v1/packages")
async def list_packages(asked: Annotated[Paged, Query()], ask: Reading) -> Page[PackageTold]:
    """All packages, by name."""
    after = (place_of(ask, asked) or ("",))[0]
    found = await packages.page(ask.books, after=after, limit=asked.limit + 1)
    return page(ask, asked, found, lambda each: (each.name,), package_told)


def package_told(package: Package) -> PackageTold:
    allowance = package.allowance
    return PackageTold(
        id=package.id,
        name=package.name,
        term=str(allowance.term),
        day_count=allowance.term.day_count,
        messages_per_day=allowance.messages_per_day,
        ota_per_month=allowance.ota_per_month,
        storage_days=allowance.storage_days,
    )
