"""Every request has an id, is counted and logged; a fault is logged with its cause and shown without it.

Logged is the route that was asked, never the address itself or a body: a sign-in link would be in the one, secrets in
the other.
"""

import logging
import re
import secrets
import time

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from licet.web import problem

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Watch:
    """The outermost of all: whatever happens further in, somebody is answered and it is known why."""

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "licet_http_requests", "HTTP requests answered.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "licet_http_request_seconds", "How long HTTP requests took.", ["route"], registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        status, begun = 0, time.perf_counter()

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, tell)
        except Exception:
            log.exception("fault in %s %s, request %s", _method(scope), _route(scope), request_id)
            if status:
                raise  # half an answer is out already: the server has to cut the connection
            await problem.response(problem.fault(), request_id)(scope, receive, tell)
        finally:
            seconds = time.perf_counter() - begun
            method, route = _method(scope), _route(scope)
            self._requests.labels(method, route, str(status)).inc()
            self._seconds.labels(route).observe(seconds)
            log.debug("%s %s %d in %.1f ms, request %s", method, route, status, seconds * 1000, request_id)


def _request_id(headers: Headers) -> str:
    said = headers.get("x-request-id", "")
    return said if _REQUEST_ID.fullmatch(said) else secrets.token_hex(12)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "none")
