"""Assignments: unassigned codes that went to a product, for good; and beforehand, how many could."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from licet.assign import assign, maximum
from licet.lots import Assignment
from licet.postgres import lots
from licet.postgres.books import Books
from licet.web.api.packages import PackageTold, package_told
from licet.web.fields import Asked, At, Id, Instant, Line, ProductKey, Quantity, Said, Told
from licet.web.once import once
from licet.web.paging import Page, Paged, page, place_of
from licet.web.problem import Malformed, WrongField
from licet.web.session import Ask, ManagingOnce, Reading

router = APIRouter(tags=["assignments"])


class AssignmentAsked(Asked):
    product_key: ProductKey
    package_id: Id
    quantity: Quantity


class AssignmentTold(Told):
    id: str
    account_id: str
    product_key: str
    product_name: str
    package_id: str
    package: PackageTold
    quantity: int
    assigned_at: At
    assigned_by: str


class Maximum(Told):
    """The most that could be assigned now."""

    product_key: str
    package_id: str
    maximum: int


class AssignmentsAsked(Paged):
    """With ``dry_run``, a product key and a package: the most that could be assigned. Without: what was."""

    dry_run: Said = False
    product_key: ProductKey | None = None
    package_id: Id | None = None
    account_id: Id | None = None
    search: Annotated[Line | None, Field(description="Part of the name, or how the product key begins.")] = None
    assigned_from: Instant | None = None
    assigned_to: Instant | None = None


@router.post("/v1/assignments", status_code=201, response_model=AssignmentTold)
async def assign_codes(asked: AssignmentAsked, ask: ManagingOnce) -> Response:
    """Assign unassigned codes to a product, all or none. This cannot be undone."""

    async def work(books: Books) -> AssignmentTold:
        assigned = await assign(
            books,
            product_key=asked.product_key,
            package_id=asked.package_id,
            quantity=asked.quantity,
            by=ask.by,
            now=ask.now,
        )
        return _told(assigned)

    return await once(ask, work)


@router.get("/v1/assignments")
async def list_assignments(asked: Annotated[AssignmentsAsked, Query()], ask: Reading) -> Page[AssignmentTold] | Maximum:
    """Every assignment, the latest first; or with ``dry_run`` the most that could be assigned now."""
    if asked.dry_run:
        return await _maximum(asked, ask)
    found = await lots.assignments(
        ask.books,
        ask.account(asked.account_id),
        search=asked.product_key or asked.search,
        since=asked.assigned_from,
        until=asked.assigned_to,
        before=place_of(ask, asked),
        limit=asked.limit + 1,
    )
    return page(ask, asked, found, lambda each: (each.assigned_at, each.id), _told)


async def _maximum(asked: AssignmentsAsked, ask: Ask) -> Maximum:
    if asked.product_key is None or asked.package_id is None:
        wanted = {"product_key": asked.product_key, "package_id": asked.package_id}
        raise Malformed(
            [
                WrongField(where="query", field=field, sentence="With dry_run this is needed.")
                for field, said in wanted.items()
                if said is None
            ]
        )
    most = await maximum(ask.books, product_key=asked.product_key, package_id=asked.package_id, by=ask.by, now=ask.now)
    return Maximum(product_key=asked.product_key, package_id=asked.package_id, maximum=most)


def _told(assignment: Assignment) -> AssignmentTold:
    return AssignmentTold(
        id=assignment.id,
        account_id=assignment.account_id,
        product_key=assignment.product_key,
        product_name=assignment.product_name,
        package_id=assignment.package.id,
        package=package_told(assignment.package),
        quantity=assignment.quantity,
        assigned_at=assignment.assigned_at,
        assigned_by=assignment.assigned_by,
    )
