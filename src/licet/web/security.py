"""What stands at the way in, before anybody is asked who they are.

A change that a browser asks for with its cookie comes from our own pages; every answer tells the browser what it may do
with it.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from licet.refusals import Reason, Refused
from licet.web import problem

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
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
