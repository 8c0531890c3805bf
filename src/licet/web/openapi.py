"""The description of the API, from the routes themselves: ``openapi.json`` in the tree, ``/openapi.json`` served."""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic.json_schema import models_json_schema

from licet.accounts import Scope
from licet.web import problem
from licet.web.api.knocks import Knocked, KnocksAsked, RegistrationAsked
from licet.web.api.reports import EventTold

_REF = "#/components/schemas/"

#: Bodies that are read by hand, and what every path may answer.
_BESIDES = (Knocked, KnocksAsked, RegistrationAsked, EventTold, problem.WrongField, problem.Problem)

#: Two nouns have a kind.
_NAMES = {"licet__accounts__Kind": "AccountKind", "licet__events__Kind": "EventKind"}

_SUMMARY = "Activation codes for devices: bought in lots, consumed at the first connect, expired by time."
_DESCRIPTION = (
    "JSON in UTF-8, instants in RFC 3339 and UTC. Every no is problem+json (RFC 9457) with a stable `code`. Lists are "
    "pages: send `next_cursor` back as `cursor` until it is null. An `Idempotency-Key` on a POST makes it safe to send "
    "again. What belongs to another account does not exist."
)


def described(app: FastAPI) -> dict[str, Any]:
    """What the app answers to, as OpenAPI 3.1."""
    document = get_openapi(
        title="licet API", version=app.version, summary=_SUMMARY, description=_DESCRIPTION, routes=app.routes
    )
    _, besides = models_json_schema([(model, "validation") for model in _BESIDES], ref_template=_REF + "{model}")
    schemas = document["components"]["schemas"] | besides["$defs"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"] = {"schemas": dict(sorted(schemas.items())), "securitySchemes": _WAYS_IN}
    for path, method, scope in scopes_of(app):
        operation = document["paths"][path][method]
        operation["responses"] = {
            status: answer for status, answer in operation["responses"].items() if status != "422"
        } | _SAYS_NO
        operation["security"] = [] if scope is None else [{"token": []}, {"session": []}]
        if scope is not None:
            operation["description"] += f"\n\nNeeds the scope `{scope.value}`."
    text = json.dumps(document).replace("``", "`")
    for long, short in _NAMES.items():
        text = text.replace(long, short)
    read: dict[str, Any] = json.loads(text)
    return read


def as_text(document: dict[str, Any]) -> str:
    """As it is checked in: a line per fact, so that a change of it can be read."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def scopes_of(app: FastAPI) -> Iterator[tuple[str, str, Scope | None]]:
    """(path, method, the scope it needs or None) of every operation that is described."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.include_in_schema:
            needs = [getattr(each.call, "scope", None) for each in route.dependant.dependencies]
            for method in sorted(route.methods or ()):
                yield route.path, method.lower(), next((scope for scope in needs if scope is not None), None)


_SAYS_NO = {
    status: {"description": said, "content": {problem.MEDIA_TYPE: {"schema": {"$ref": _REF + "Problem"}}}}
    for status, said in {
        "4XX": "licet says no, or cannot read what is asked.",
        "5XX": "Something went wrong in licet, or it is too busy.",
    }.items()
}

_WAYS_IN = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token, `licet_…`, as `Authorization: Bearer`."},
    "session": {"type": "apiKey", "in": "cookie", "name": "licet", "description": "A person signed in to the console."},
}
