"""The app: ``create_app(books, …)`` opens the web door.

What comes in passes, from the outside in: ``security`` (what the browser may do), ``watch`` (an id, a count, a log
line; faults end here), ``security`` again (other sites; the size of a body), then the routes of ``api/`` and
``console/``. What says no is ``problem``.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from licet import __version__
from licet.accounts import FreeCodes
from licet.postgres.books import Books
from licet.web import console, health, problem
from licet.web.api import (
    accounts,
    assignments,
    audit,
    data,
    devices,
    events,
    firmware,
    knocks,
    ledger,
    lots,
    ota,
    packages,
    people,
    products,
    reports,
    statement_parts,
    statements,
    tokens,
    topups,
    usage,
)
from licet.web.docs import show_docs
from licet.web.door import Door, Messages, NoBroker, nobody
from licet.web.openapi import as_text, described
from licet.web.security import BodyLimit, SameSite, SecurityHeaders
from licet.web.shelf import Shelf
from licet.web.tries import Tries
from licet.web.watch import Watch

_LINK_HOURS = 24

_NOUNS = (
    accounts,
    packages,
    products,
    lots,
    assignments,
    devices,
    data,
    knocks,
    usage,
    reports,
    ota,
    firmware,
    topups,
    ledger,
    statements,
    statement_parts,
    people,
    tokens,
    audit,
    events,
)


def create_app(
    books: Books,
    *,
    clock: Callable[[], datetime],
    data_center: str,
    free: FreeCodes,
    public_url: str,
    session_hours: int,
    presence: Callable[[str, str], bool],
    knocks: Callable[[], Mapping[str, int]],
    ready: Callable[[], bool],
    firmware: Path,
    firmware_mib: int = 64,
    lag: Callable[[], Mapping[str, tuple[int, float]]] = dict,
    messages: Messages | None = None,
    send_down: Callable[[], None] = nobody,
    link_hours: int = _LINK_HOURS,
) -> FastAPI:
    """The web door on these books. Nothing of it is global: there may be any number of them side by side.

    ``firmware``: the folder of its files, and how large each may be.
    """
    door = Door(
        books=books,
        clock=clock,
        data_center=data_center,
        free=free,
        public_url=public_url,
        session_hours=session_hours,
        link_hours=link_hours,
        presence=presence,
        knocks=knocks,
        ready=ready,
        shelf=Shelf(firmware, most_mib=firmware_mib),
        lag=lag,
        messages=messages or NoBroker(),
        send_down=send_down,
        tries=Tries(),
    )
    app = bare_app()
    app.state.door = door
    app.state.registry = CollectorRegistry()
    app.state.gauges = health.Gauges(door)
    app.state.registry.register(app.state.gauges)
    problem.answer_with_problems(app)
    show_docs(app, as_text(described(bare_app())))
    console.mount(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(SameSite)
    app.add_middleware(Watch, registry=app.state.registry)
    app.add_middleware(SecurityHeaders, https=door.https)
    return app


def bare_app() -> FastAPI:
    """The paths of the API, and nothing behind them: enough to describe them."""
    app = FastAPI(
        title="licet",
        version=__version__,
        openapi_url=None,  # docs.py serves it
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    for noun in _NOUNS:
        app.include_router(noun.router)
    app.include_router(health.router)
    return app
