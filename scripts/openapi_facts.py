"""Compare our own table of facts with an OpenAPI file: the tests' facts about Twilio's REST must be those of the file.

Pure: a document and tables in, differences in words out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import Final

from scripts.openapi_document import Json, operations

PREFIX: Final = "/2010-04-01/Accounts/{AccountSid}"
_SID = re.compile(r"\^([A-Z]{2})\[")
_TYPES: Final = {"int": "integer", "bool": "boolean", "object": "object", "map": "object"}
"""The JSON types of the kinds that are no strings."""

Shape = Mapping[str, str]
"""A resource's fields, each with its kind. Shape: see `tests/conformance/facts.py`."""


def differences(
    document: Json, *, parameters: Mapping[tuple[str, str], str], shapes: Mapping[str, Shape]
) -> Iterator[str]:
    """Yield the differences of tables and file. `parameters`: names by method and path; `shapes`: by schema name."""
    for method, path in operations(document):
        place = path.removeprefix(PREFIX).removesuffix(".json")
        known = set(parameters.get((method, place), "").split())
        yield from _names(f"{method} {place}", known, _parameters(document["paths"][path][method.lower()]))
    schemas = document["components"]["schemas"]
    for name in _response_schemas(document):
        short = name.rpartition(".")[2]
        if short not in shapes:
            yield f"{short}: no table"
            continue
        yield from _fields(short, shapes[short], schemas)


def _parameters(operation: Json) -> set[str]:
    """Return the parameters of an operation, in its query and its form."""
    found = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        found |= set(content["schema"].get("properties", {}))
    return found


def _response_schemas(document: Json) -> list[str]:
    """Return the names of the schemas of all answers and list items."""
    found: dict[str, None] = {}
    for method, path in operations(document):
        for answer in document["paths"][path][method.lower()]["responses"].values():
            for content in answer.get("content", {}).values():
                schema = content["schema"]
                items = [each["items"] for each in schema.get("properties", {}).values() if each.get("type") == "array"]
                found |= {each["$ref"].rpartition("/")[2]: None for each in (schema, *items) if "$ref" in each}
    return list(found)


def _fields(short: str, shape: Shape, schemas: Json) -> Iterator[str]:
    full = next(name for name in schemas if name.rpartition(".")[2] == short)
    properties = schemas[full]["properties"]
    yield from _names(short, shape.keys(), properties.keys())
    for field in shape.keys() & properties.keys():
        wanted = _kind(properties[field], schemas)
        if not _agree(shape[field].removesuffix("?"), wanted):
            yield f"{short}.{field}: {shape[field]} in our table, {wanted} in the file"


def _names(what: str, ours: Set[str], theirs: Set[str]) -> Iterator[str]:
    yield from (f"{what}: {name} is not in our table" for name in sorted(theirs - ours))
    yield from (f"{what}: {name} is in our table alone" for name in sorted(ours - theirs))


def _kind(schema: Json, schemas: Json) -> str:
    """Return the kind of a schema, in the words of our table: `string` where the schema has no details."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    match schema:
        case {"enum": words}:
            return "|".join(sorted(str(word) for word in words))
        case {"pattern": str(pattern)} if found := _SID.match(pattern):
            return f"sid:{found[1]}"
        case {"format": "date-time-rfc-2822" | "date-time"}:
            return "date"
        case {"type": str(kind)}:
            return kind
        case _:
            return "any"


def _agree(ours: str, theirs: str) -> bool:
    """Return whether two kinds agree. A plain string agrees with any kind that our table knows better."""
    if ours in _TYPES:
        return theirs in (_TYPES[ours], "any")
    if theirs in ("string", "any"):
        return True
    if "|" in theirs:
        return set(ours.split("|")) == set(theirs.split("|"))
    return ours == theirs
