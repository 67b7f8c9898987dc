"""Narrow an OpenAPI file of Twilio to the resources of one running engine, so that a fuzzer requests existing ones.

SIDs in paths become those of seeded resources, and parameters that must name a resource name an existing one. Answers
are made strict: every field of a schema must be there (null where allowed), and no other. Where the file contradicts
itself its examples count: pages link to each other by paths without a host, and a word of an enum may be null where an
example has null. Pure: a document in, a document out.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Final

Json = dict[str, Any]
METHODS: Final = ("get", "post", "delete")

Seeds = Mapping[str, Sequence[str]]
"""Values by where they are used: a path parameter by its resource, such as `Calls`, a form's parameter by its name."""


def narrow(document: Json, seeds: Seeds, *, url: str) -> Json:
    """Return the document for the engine at `url`, with its seeds in place and its answers strict."""
    narrowed: Json = copy.deepcopy(document)
    narrowed["servers"] = [{"url": url}]
    for path, item in narrowed["paths"].items():
        item.pop("servers", None)
        for method in METHODS:
            if (operation := item.get(method)) is not None:
                _narrow_operation(path, operation, seeds)
    nulls = set(_nulls_in_examples(narrowed["paths"]))
    for schema in narrowed["components"]["schemas"].values():
        _make_strict(schema, nulls)
    return narrowed


def operations(document: Json) -> Iterator[tuple[str, str]]:
    """Yield every (method, path) of a document."""
    for path, item in document["paths"].items():
        yield from ((method.upper(), path) for method in METHODS if method in item)


def resource_of(path: str, parameter: str) -> str:
    """Return the resource that a path parameter names: the part of the path before it, such as `Calls`."""
    before = re.search(r"([A-Za-z]+)/\{" + re.escape(parameter) + r"\}", path)
    return before[1] if before else parameter


def _narrow_operation(path: str, operation: Json, seeds: Seeds) -> None:
    for parameter in operation.get("parameters", ()):
        known = _path_values(path, parameter["name"], seeds) if parameter["in"] == "path" else None
        if known:
            parameter["schema"] = {"type": "string", "enum": list(known)}
            parameter.pop("examples", None)
            parameter.pop("example", None)
    for answer in operation["responses"].values():
        _relative_links(answer)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        _narrow_form(_place(path), content, seeds)


def _path_values(path: str, parameter: str, seeds: Seeds) -> Sequence[str] | None:
    """Return the seeds of this place, such as `Calls/{CallSid}/Notifications/{Sid} CallSid`, else of the resource."""
    return seeds.get(f"{_place(path)} {parameter}") or seeds.get(resource_of(path, parameter))


def _place(path: str) -> str:
    return path.partition("{AccountSid}/")[2].removesuffix(".json")


def _narrow_form(place: str, content: Json, seeds: Seeds) -> None:
    properties = content["schema"].get("properties", {})
    for name, property in properties.items():
        values = (
            seeds.get(f"{place} {name}")
            or seeds.get(name)
            or (seeds.get("Url") if property.get("format") == "uri" else None)
        )
        if values is None:
            continue
        properties[name] = {"type": "string", "enum": list(values)}
        for example in content.get("examples", {}).values():
            if name in example["value"]:
                example["value"][name] = values[0]


def _make_strict(schema: Json, nulls: Set[str]) -> None:
    properties = schema.get("properties")
    if schema.get("type") != "object" or not properties:
        return
    schema["required"] = sorted(properties)
    schema["additionalProperties"] = False
    for name, property in properties.items():
        if "$ref" in property and name in nulls:
            properties[name] = {"anyOf": [property, {"enum": [None], "nullable": True}]}


def _relative_links(answer: Json) -> None:
    for content in answer.get("content", {}).values():
        for name, property in content["schema"].get("properties", {}).items():
            if name.endswith("uri") and property.get("format") == "uri":
                property["format"] = "uri-reference"


def _nulls_in_examples(part: Any, *, within: bool = False) -> Iterator[str]:
    """Yield the names that are null in any example below this part of the document."""
    match part:
        case dict():
            for name, value in part.items():
                if within and value is None:
                    yield name
                yield from _nulls_in_examples(value, within=within or name == "examples")
        case list():
            for each in part:
                yield from _nulls_in_examples(each, within=within)
        case _:
            pass


def find_path(path: str, method: str, known: Sequence[tuple[str, str]]) -> str | None:
    """Return the path of the document that a request was for: the matching one with the fewest parameters."""
    fitting = [
        template
        for name, template in known
        if name == method and re.fullmatch(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(template)), path)
    ]
    return min(fitting, key=lambda template: template.count("{"), default=None)
