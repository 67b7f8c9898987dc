"""An OpenAPI document is narrowed to what one engine holds, and its answers made strict."""

from __future__ import annotations

from typing import Any

from scripts.openapi_document import find_path, narrow, operations, resource_of

BASE = "/2010-04-01/Accounts/{AccountSid}"
ONE, LOG = f"{BASE}/Calls/{{Sid}}.json", f"{BASE}/Calls/{{CallSid}}/Notifications/{{Sid}}.json"


def path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "schema": {"type": "string", "pattern": "^CA"}, "examples": {"a": {"value": 1}}}


def document() -> dict[str, Any]:
    form = {
        "schema": {"properties": {"Url": {"type": "string", "format": "uri"}, "Status": {"type": "string"}}},
        "examples": {"redirect": {"value": {"Url": "https://example.com", "Status": "completed"}}},
    }
    envelope = {"properties": {"next_page_uri": {"type": "string", "format": "uri", "nullable": True}}}
    return {
        "servers": [{"url": "https://api.twilio.com"}],
        "paths": {
            ONE: {
                "servers": [{"url": "https://api.twilio.com"}],
                "post": {
                    "parameters": [path_parameter("AccountSid"), path_parameter("Sid")],
                    "requestBody": {"content": {"application/x-www-form-urlencoded": form}},
                    "responses": {"200": {"content": {"application/json": {"schema": envelope}}}},
                },
            },
            LOG: {
                "get": {
                    "parameters": [path_parameter("CallSid"), path_parameter("Sid")],
                    "responses": {
                        "200": {
                            "content": {
                                "application/json": {"schema": {}, "examples": {"a": {"value": {"reason": None}}}}
                            }
                        }
                    },
                }
            },
        },
        "components": {
            "schemas": {
                "call": {
                    "type": "object",
                    "properties": {
                        "sid": {"type": "string"},
                        "reason": {"$ref": "#/components/schemas/reason"},
                        "status": {"$ref": "#/components/schemas/status"},
                    },
                },
                "reason": {"type": "string", "enum": ["left"]},
                "status": {"type": "string", "enum": ["busy"]},
            }
        },
    }


SEEDS = {
    "Calls": ["CA1", "CA2"],
    "Calls/{CallSid}/Notifications/{Sid} CallSid": ["CA2"],
    "Url": ["http://127.0.0.1:9/"],
}


def test_paths_and_forms_name_seeded_resources() -> None:
    before = document()
    narrowed = narrow(before, SEEDS, url="http://127.0.0.1:1")
    assert before == document(), "the document that was given is left alone"
    post = narrowed["paths"][ONE]["post"]
    assert [parameter["schema"].get("enum") for parameter in post["parameters"]] == [None, ["CA1", "CA2"]]
    assert "examples" not in post["parameters"][1]
    form = post["requestBody"]["content"]["application/x-www-form-urlencoded"]
    assert form["schema"]["properties"]["Url"]["enum"] == ["http://127.0.0.1:9/"]
    assert form["schema"]["properties"]["Status"] == {"type": "string"}
    assert form["examples"]["redirect"]["value"] == {"Url": "http://127.0.0.1:9/", "Status": "completed"}
    assert narrowed["servers"] == [{"url": "http://127.0.0.1:1"}]
    assert "servers" not in narrowed["paths"][ONE]


def test_a_seed_of_one_place_overrides_that_of_its_resource() -> None:
    get = narrow(document(), SEEDS, url="http://127.0.0.1:1")["paths"][LOG]["get"]
    assert [parameter["schema"].get("enum") for parameter in get["parameters"]] == [["CA2"], None]


def test_answers_are_strict_and_examples_settle_contradictions() -> None:
    narrowed = narrow(document(), SEEDS, url="http://127.0.0.1:1")
    schema = narrowed["components"]["schemas"]["call"]
    assert schema["required"] == ["reason", "sid", "status"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["reason"]["anyOf"][1] == {"enum": [None], "nullable": True}
    assert schema["properties"]["status"] == {"$ref": "#/components/schemas/status"}
    answer = narrowed["paths"][ONE]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["properties"]["next_page_uri"]["format"] == "uri-reference"


def test_requests_are_counted_for_the_operation_they_were_for() -> None:
    known = list(operations(document()))
    assert known == [("POST", ONE), ("GET", LOG)]
    assert find_path("/2010-04-01/Accounts/AC1/Calls/CA1.json", "POST", known) == ONE
    assert find_path("/2010-04-01/Accounts/AC1/Calls/CA1/Notifications/NO1.json", "GET", known) == LOG
    assert find_path("/2010-04-01/Accounts/AC1/Calls/CA1.json", "GET", known) is None
    assert resource_of(LOG, "Sid") == "Notifications"
