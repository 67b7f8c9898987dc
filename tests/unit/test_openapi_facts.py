"""Our own table of facts is compared with an OpenAPI file: every kind of difference is reported."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.openapi_facts import PREFIX, differences

QUEUE = {"sid": "sid:QU", "size": "int", "made": "date", "state": "open|shut", "name": "text?", "links": "map"}
PARAMETERS = {("GET", "/Queues"): "PageSize", ("POST", "/Queues"): "FriendlyName"}


def document() -> dict[str, Any]:
    """Return a file with one resource, listed and created."""
    queue = {"$ref": "#/components/schemas/api.v2010.account.queue"}
    listed = {"properties": {"queues": {"type": "array", "items": queue}, "uri": {"type": "string"}}}
    form = {"properties": {"FriendlyName": {"type": "string"}}}
    path_only = {"name": "AccountSid", "in": "path"}
    return {
        "paths": {
            f"{PREFIX}/Queues.json": {
                "get": {
                    "parameters": [path_only, {"name": "PageSize", "in": "query"}],
                    "responses": {"200": {"content": {"application/json": {"schema": listed}}}},
                },
                "post": {
                    "parameters": [path_only],
                    "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": form}}},
                    "responses": {"201": {"content": {"application/json": {"schema": queue}}}, "204": {}},
                },
            }
        },
        "components": {
            "schemas": {
                "api.v2010.account.queue": {
                    "properties": {
                        "sid": {"type": "string", "pattern": "^QU[0-9a-fA-F]{32}$"},
                        "size": {"type": "integer"},
                        "made": {"type": "string", "format": "date-time-rfc-2822"},
                        "state": {"$ref": "#/components/schemas/queue_enum_state"},
                        "name": {"type": "string", "nullable": True},
                        "links": {"type": "object", "format": "uri-map"},
                    }
                },
                "queue_enum_state": {"type": "string", "enum": ["shut", "open"]},
            }
        },
    }


def found(*, queue: dict[str, str] = QUEUE, parameters: dict[tuple[str, str], str] = PARAMETERS) -> list[str]:
    """Return the differences from that file."""
    return list(differences(document(), parameters=parameters, shapes={"queue": queue}))


def test_a_table_that_says_the_same_has_no_differences() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("field", "kind", "file"),
    [
        ("sid", "sid:CA", "sid:QU"),
        ("size", "text", "integer"),
        ("size", "bool", "integer"),
        ("made", "text", "date"),
        ("state", "open", "open|shut"),
        ("state", "open|shut|ajar", "open|shut"),
        ("name", "int", "string"),
        ("links", "text", "object"),
    ],
)
def test_a_field_of_another_type_is_reported(field: str, kind: str, file: str) -> None:
    assert found(queue=QUEUE | {field: kind}) == [f"queue.{field}: {kind} in our table, {file} in the file"]


def test_fields_on_one_side_only_are_reported() -> None:
    assert found(queue={**QUEUE, "more": "text"}) == ["queue: more is in our table alone"]
    less = {name: kind for name, kind in QUEUE.items() if name != "size"}
    assert found(queue=less) == ["queue: size is not in our table"]


def test_parameters_on_one_side_only_are_reported() -> None:
    assert found(parameters={**PARAMETERS, ("GET", "/Queues"): "Page"}) == [
        "GET /Queues: PageSize is not in our table",
        "GET /Queues: Page is in our table alone",
    ]
    assert found(parameters={("GET", "/Queues"): "PageSize"}) == ["POST /Queues: FriendlyName is not in our table"]


def test_a_resource_without_a_table_is_reported() -> None:
    assert list(differences(document(), parameters=PARAMETERS, shapes={})) == ["queue: no table"]
