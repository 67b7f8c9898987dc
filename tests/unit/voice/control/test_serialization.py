"""Every class of the journal goes to text and comes back equal, whatever is in it."""

from __future__ import annotations

import json
import types
from dataclasses import fields
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.control.entities import Member
from holdfast.voice.control.serialization import CLASSES, decode, encode
from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.ids import CallSid

DEEPEST = 7


def sample(kind: Any, depth: int = 0) -> object:
    """A value of that type in which nothing is as it is by default; unions take their first member."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        kinds = [each for each in get_args(kind) if each is not type(None)]
        return None if depth > DEEPEST and len(kinds) < len(get_args(kind)) else sample(kinds[0], depth)
    if origin is Literal:
        return get_args(kind)[-1]
    if origin is tuple:
        inside = get_args(kind)
        if inside[-1] is Ellipsis:
            return () if depth > DEEPEST else (sample(inside[0], depth + 1),) * 2
        return tuple(sample(each, depth + 1) for each in inside)
    if hasattr(kind, "__supertype__"):
        return sample(kind.__supertype__, depth)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return list(kind)[-1]
    plain: dict[Any, object] = {str: 'ünï\n"\\$', int: 7, float: 0.1 + 0.2, bool: True}
    if kind in plain:
        return plain[kind]
    return kind(**{name: sample(hint, depth + 1) for name, hint in hints(kind).items()})


def hints(kind: type) -> dict[str, Any]:
    all_hints = get_type_hints(kind)
    return {item.name: all_hints[item.name] for item in fields(kind)}


# The meaning of a document is read from it anew, an ear is of one turn: neither is written.
@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"ReadDocument", "ScriptSubject"}))
def test_written_values_are_read_back(name: str) -> None:
    kind = CLASSES[name]
    values = list(kind) if issubclass(kind, Enum) else [sample(kind)]
    for value in values:
        assert decode(encode(value)) == value
        assert type(decode(encode(value))) is kind


@given(url=st.text(), form=st.lists(st.tuples(st.text(), st.text())))
def test_any_text_survives(url: str, form: list[tuple[str, str]]) -> None:
    value = WebRequest(url=url, form=tuple(form))
    assert decode(encode(value)) == value


def test_lone_surrogates_are_encoded_all_the_same() -> None:
    assert decode(encode(WebRequest(url="caf\udce9 é"))) == WebRequest(url="caf? é")


@pytest.mark.parametrize("text", ['{"$":"Nonsense"}', '{"a":1}', "{", '{"$":"CallStatus","value":"asleep"}'])
def test_foreign_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(text)


def test_the_stored_form_of_a_value_names_its_class_under_a_dollar() -> None:
    assert json.loads(encode(Member(call=CallSid("CA1"), entered_at=2.0))) == {
        "$": "Member",
        "call": "CA1",
        "entered_at": 2.0,
    }
