"""The page that shows the API: its assets come from this very server, its script from a file, as the policy demands."""

from importlib.resources import files
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>licet API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<main id="swagger-ui"></main>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null, persistAuthorization: false
});
"""

_CACHED = {"Cache-Control": "public, max-age=3600"}


def show_docs(app: FastAPI, openapi: str) -> None:
    """Add ``/openapi.json`` and ``/docs``."""
    assets = Path(str(files(fastapi_offline))) / "static"

    @app.get("/openapi.json", include_in_schema=False)
    async def description() -> Response:
        return Response(openapi, media_type="application/json")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(_PAGE)

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(_START, media_type="text/javascript", headers=_CACHED)

    app.mount("/docs/assets", StaticFiles(directory=assets), name="docs-assets")
