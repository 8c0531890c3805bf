"""The console: pages for people, rendered here and whole without a script. One file per noun; ``mount`` opens it.

``desk`` is where a page is made, ``forms`` reads what people typed, ``turning`` turns pages, ``rendering`` has the
words, ``static`` the files.
"""

from urllib.parse import quote

from fastapi import FastAPI, Request, Response

from licet.postgres import accounts as accounts_read
from licet.refusals import Refused
from licet.web.console import (
    accounts,
    audit,
    billing,
    codes,
    devices,
    lots,
    packages,
    people,
    products,
    sign_in,
    tokens,
)
from licet.web.console.desk import Desk, go, show
from licet.web.console.forms import Said
from licet.web.console.static import Static
from licet.web.problem import Problem
from licet.web.session import someone

_NOUNS = (sign_in, accounts, codes, devices, products, people, tokens, audit, packages, lots, billing)


def mount(app: FastAPI) -> None:
    """Open the console beside the API."""
    for noun in _NOUNS:
        app.include_router(noun.router, include_in_schema=False)
    app.mount("/static", Static())
    app.state.door.said_no = said_no


async def said_no(request: Request, problem: Problem) -> Response:
    """How a page says no: who is not signed in is asked to; anything else is one sentence and the next step."""
    if problem.status == 401:
        back = f"?back={quote(request.url.path)}" if request.method == "GET" and request.url.path != "/" else ""
        return go(request, f"/sign-in{back}")
    said = Said("bad", problem.title, problem.detail)
    try:
        ask = await someone(request)
        if ask is not None:
            account_id = ask.by.account_id or request.path_params.get("account_id", "")
            desk = Desk(ask, await accounts_read.get(ask.books, account_id))
            return desk.page("house/refused.html", section="", status=problem.status, said=said, code=problem.status)
    except Refused:
        pass  # the books are away: nobody can be known, and that is what the page says
    return show(request, "house/refused.html", status=problem.status, said=said, code=problem.status)
