"""How this door says no: RFC 9457 problem details, the same sentence as everywhere else.

A refusal keeps its own code and words (``refusals``). What is malformed, too large, or asks for a path that is not
there is answered here; whatever else goes wrong is a fault, which is logged and shown without its cause.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from licet.refusals import Reason, Refused

MEDIA_TYPE = "application/problem+json"

#: How those show who they are who are not people or programs.
_SHOWS = {Reason.NOT_AUTHORIZED.code: 'Basic realm="PK/DK", charset="UTF-8"'}

#: So many wrong fields are named; a body can have more of them than anybody wants to read.
MOST_FIELDS = 100


class WrongField(BaseModel):
    """One field that cannot be read as it is."""

    where: str = Field(examples=["body"])
    field: str = Field(examples=["devices.0.device_key"])
    sentence: str


class Problem(BaseModel):
    """Why not (RFC 9457). ``code`` is stable: programs may rely on it; ``title`` says it, ``detail`` the next step."""

    type: str = Field(examples=["urn:licet:problem:too_few_unassigned"])
    title: str
    status: int
    code: str
    detail: str
    transient: bool = False
    device_code: int | None = None
    facts: dict[str, Any] | None = None
    errors: list[WrongField] | None = None
    request_id: str | None = None


class Malformed(Exception):
    """A request that cannot be read as one: all that is wrong with it, at once."""

    def __init__(self, wrong: Sequence[WrongField]) -> None:
        super().__init__("malformed")
        self.wrong = wrong


def of_refusal(refused: Refused) -> Problem:
    """The problem that says a refusal."""
    return Problem(
        type=f"urn:licet:problem:{refused.reason.code}",
        title=refused.sentence,
        status=refused.reason.status,
        code=refused.reason.code,
        detail=refused.next_step,
        transient=refused.reason.transient,
        device_code=refused.reason.device_code,
        facts={name: _plain(fact) for name, fact in refused.facts.items()} or None,
    )


def of_malformed(wrong: Sequence[WrongField]) -> Problem:
    """The problem that names every field that cannot be read."""
    named = list(wrong[:MOST_FIELDS])
    more = len(wrong) - len(named)
    return _problem(
        422,
        "malformed",
        f"{len(wrong)} fields are wrong." if len(wrong) != 1 else "One field is wrong.",
        f"The first {len(named)} are listed; {more} more are wrong."
        if more
        else "Each is listed with what it should be.",
    ).model_copy(update={"errors": named})


def too_large(limit: int) -> Problem:
    return _problem(413, "body_too_large", "The body is too large.", f"Send at most {limit} bytes at a time.")


def no_such_range(size: int) -> Problem:
    return _problem(416, "no_such_range", "There is no such range of bytes.", f"The file has {size} bytes.")


def fault() -> Problem:
    return _problem(
        500, "fault", "Something went wrong in licet.", "It is in the log, under this request id. Nothing was changed."
    )


def response(problem: Problem, request_id: str | None = None) -> Response:
    """A problem as the answer to a request."""
    said = problem.model_copy(update={"request_id": request_id}).model_dump_json(exclude_none=True)
    headers = {}
    if problem.status == 401:
        headers["WWW-Authenticate"] = _SHOWS.get(problem.code, "Bearer")
    if problem.transient:
        seconds = (problem.facts or {}).get("seconds", 2)
        headers["Retry-After"] = str(seconds)
    return Response(said, problem.status, headers, MEDIA_TYPE)


def answer_with_problems(app: FastAPI) -> None:
    """Let the app say no in this way."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Malformed, _malformed)
    app.add_exception_handler(HTTPException, _not_served)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return await _say(request, of_refusal(error))


async def _malformed(request: Request, error: Exception) -> Response:
    if isinstance(error, Malformed):
        return await _say(request, of_malformed(error.wrong))
    assert isinstance(error, RequestValidationError)
    wrong = error.errors()
    if all(each["loc"][0] == "path" for each in wrong):
        # What cannot be a name is the name of nothing.
        return await _say(request, of_refusal(Refused(Reason.NOT_FOUND, thing=_thing(str(wrong[0]["loc"][-1])))))
    return await _say(request, of_malformed([_wrong_field(each) for each in wrong]))


async def _not_served(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: a path, a method, a body that is no JSON."""
    assert isinstance(error, HTTPException)
    match error.status_code:
        case 404:
            problem = _problem(404, "no_such_path", "There is nothing at this address.", "See /docs for what there is.")
        case 405:
            problem = _problem(
                405, "method_not_allowed", "This address does not take that method.", "See /docs for what it takes."
            )
        case 400:
            problem = of_malformed([WrongField(where="body", field="", sentence="This is not JSON.")])
        case status:
            problem = _problem(status, "not_served", "This request cannot be served.", "See /docs for what there is.")
    said = await _say(request, problem)
    said.headers.update(error.headers or {})
    return said


async def _say(request: Request, problem: Problem) -> Response:
    request_id = request.scope.get("state", {}).get("request_id")
    door = request.app.state.door
    if door.said_no is not None and not request.url.path.startswith("/v1/") and _wants_a_page(request):
        page: Response = await door.said_no(request, problem.model_copy(update={"request_id": request_id}))
        return page
    return response(problem, request_id)


def _wants_a_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _problem(status: int, code: str, title: str, detail: str) -> Problem:
    return Problem(type=f"urn:licet:problem:{code}", title=title, status=status, code=code, detail=detail)


def _wrong_field(error: dict[str, Any]) -> WrongField:
    where, *path = error["loc"]
    if error["type"] == "json_invalid":
        return WrongField(where="body", field="", sentence=f"This is not JSON, from character {path[0]} on.")
    return WrongField(where=str(where), field=_dotted(path), sentence=_sentence(str(error["msg"])))


def _dotted(path: Iterable[object]) -> str:
    return ".".join(str(part) for part in path).encode(errors="replace").decode()


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ").encode(errors="replace").decode()
    return message[:1].upper() + message[1:].rstrip(".") + "."


def _thing(parameter: str) -> str:
    return {"pk": "product", "dk": "device"}.get(parameter, parameter.removesuffix("_id"))


def _plain(fact: object) -> object:
    """A fact as JSON can say it."""
    if isinstance(fact, datetime):
        return fact.isoformat()
    try:
        json.dumps(fact)
    except TypeError:
        return str(fact)
    return fact
