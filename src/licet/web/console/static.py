"""Style sheets, scripts and type: sent packed, and kept by browsers for as long as their address stays."""

import gzip
from functools import cache
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_FOR_GOOD = "public, max-age=31536000, immutable"
_A_DAY = "public, max-age=86400"


class Static:
    """The files of ``static/``, each read and packed once. Nothing else is there, whatever is asked for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        name = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix("/static").lstrip("/")
        if request.method not in {"GET", "HEAD"} or name not in _names():
            raise HTTPException(404)
        kind = _KINDS[name[name.rindex(".") :]]
        headers = {"Cache-Control": _FOR_GOOD if request.url.query else _A_DAY, "Vary": "Accept-Encoding"}
        content = _content(name)
        if not name.endswith(".woff2") and "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            content = _packed(name)
        await Response(content, 200, headers, kind)(scope, receive, send)


@cache
def _names() -> frozenset[str]:
    folder = files("licet.web") / "static"
    own = {each.name for each in folder.iterdir()}
    vendor = {f"vendor/{each.name}" for each in (folder / "vendor").iterdir()} if "vendor" in own else set()
    return frozenset(name for name in own | vendor if name[name.rfind(".") :] in _KINDS)


@cache
def _content(name: str) -> bytes:
    return (files("licet.web") / "static" / name).read_bytes()


@cache
def _packed(name: str) -> bytes:
    return gzip.compress(_content(name), mtime=0)
