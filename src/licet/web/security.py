"""What stands at the way in, before anybody is asked who they are.

A body has a size; a change that a browser asks for with its cookie comes from our own pages; every answer tells the
browser what it may do with it.
"""

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from licet.refusals import Reason, Refused
from licet.web import problem

BODY_BYTES = 1 << 20
IMPORT_BYTES = 8 << 20

_IMPORT = re.compile(r"/v1/usage|/v1/products/[^/]+/devices|/accounts/[^/]+/products/[^/]+/import")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

# same-origin, not no-referrer: browsers that are told the latter send "Origin: null" with our own forms.
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}


class SecurityHeaders:
    """Tells the browser what it may do with an answer; where a page says so itself, that stays."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = _HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, tell if scope["type"] == "http" else send)


class SameSite:
    """Stops a change that another site makes a browser ask for.

    Programs send a bearer token, and no browser adds one by itself. What comes without one must come from our own
    pages: a browser says so by ``Sec-Fetch-Site``, and where it does not, by ``Origin``.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _SAFE and _from_elsewhere(Headers(scope=scope), scope):
            said = problem.response(problem.of_refusal(Refused(Reason.CROSS_SITE)), scope["state"]["request_id"])
            await said(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _from_elsewhere(headers: Headers, scope: Scope) -> bool:
    if "authorization" in headers or ("cookie" not in headers and scope["path"].startswith("/v1/")):
        return False
    if site := headers.get("sec-fetch-site"):
        return site not in {"same-origin", "none"}
    return urlsplit(headers.get("origin", "")).netloc != headers.get("host")


class BodyLimit:
    """Reads the whole body first, as far as it may go; most bodies are small, an import of devices is not.

    What is streamed is not read here: whoever takes it sees to its size.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _SAFE or _is_streamed(scope):
            await self._app(scope, receive, send)
            return
        limit = IMPORT_BYTES if _IMPORT.fullmatch(scope["path"]) else BODY_BYTES
        body = await _read(Headers(scope=scope), receive, limit)
        if body is None:
            said = problem.response(problem.too_large(limit), scope["state"]["request_id"])
            await said(scope, receive, send)
            return
        unread = [body]

        async def give() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        await self._app(scope, give, send)


def _is_streamed(scope: Scope) -> bool:
    return (scope["method"], scope["path"]) == ("POST", "/v1/firmware")


async def _read(headers: Headers, receive: Receive, limit: int) -> bytes | None:
    """The body, or None when it is larger than that; nothing more of it is read then."""
    said = headers.get("content-length", "")
    if said.isdecimal() and int(said) > limit:
        return None
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)
