"""In which language whoever asks is spoken to: the one they chose (a cookie), or else what their browser says."""

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from licet.languages import LANGUAGES, speaking, understood

COOKIE = "language"


class Speech:
    """Speaks it for the length of a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        chosen = asked.cookies.get(COOKIE, "")
        with speaking(chosen if chosen in LANGUAGES else understood(asked.headers.get("accept-language", ""))):
            await self._app(scope, receive, send)
