"""The description that is checked in is what the routes say."""

import json
from pathlib import Path

from doors.api.stage import Stage

from licet.web.app import bare_app
from licet.web.openapi import as_text, described

CHECKED_IN = Path(__file__).parents[3] / "openapi.json"


def test_openapi_json_is_what_the_routes_say() -> None:
    said = as_text(described(bare_app()))
    assert CHECKED_IN.read_text("utf-8") == said, "run: ./licet openapi --into openapi.json"


def test_every_name_in_it_is_there() -> None:
    document = described(bare_app())
    operations = [each for path in document["paths"].values() for each in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    assert all(operation["description"] for operation in operations)
    assert all({"4XX", "5XX"} <= set(operation["responses"]) for operation in operations)
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]


async def test_it_is_served(stage: Stage) -> None:
    assert (await stage.nobody.get("/openapi.json")).text == CHECKED_IN.read_text("utf-8")
