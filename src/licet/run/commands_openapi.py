"""`licet openapi`: the description of the API. The one that is checked in is this, written to `openapi.json`."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command("openapi")(openapi_command)


def openapi_command(
    *,
    into: Annotated[typer.FileTextWrite | None, typer.Option("--into", help="A file instead of the screen.")] = None,
) -> None:
    """Describe the API, as OpenAPI 3.1."""
    from licet.web.app import bare_app
    from licet.web.openapi import as_text, described

    text = as_text(described(bare_app()))
    if into is None:
        typer.echo(text, nl=False)
    else:
        into.write(text)
