"""Whether a value that was read back is what its class says it is: JSON keeps values, and forgets their types."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

FARTHEST = 62_135_596_800.0
"""No moment of ours is so many seconds from the Unix epoch: before it lies the year 1. No other number is larger."""
LARGEST = 1 << 63
"""No whole number that a store keeps is."""


def misfit(value: object) -> str | None:
    """What is wrong with a value of a class of ours, or with a collection of such; None when nothing is.

    What is said names the place and what stands there, and not the value: it may be a secret.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return next(_wrong_fields(value), None)
    if isinstance(value, Mapping):
        return misfit([*value.keys(), *value.values()])
    if isinstance(value, list | tuple | set | frozenset):
        return next((wrong for each in value if (wrong := misfit(each)) is not None), None)
    return None if _is_kept(value) else f"a {type(value).__name__} that cannot be kept"


def _wrong_fields(value: Any) -> Iterator[str]:
    for name, hint in _hints(type(value)).items():
        held = getattr(value, name)
        if not _fits(held, hint):
            yield f"{type(value).__name__}.{name} is {_told(held)}"
        elif (deeper := misfit(held)) is not None:
            yield deeper


def _told(value: Any) -> str:
    if value is None:
        return "missing"
    far = _is_number(value) and not (_is_kept(value) and abs(value) <= FARTHEST)
    return "a number out of range" if far else f"a {type(value).__name__}"


_known: dict[type, dict[str, Any]] = {}


def _hints(kind: type) -> dict[str, Any]:
    """What the fields of a class are to be."""
    if kind not in _known:
        told = get_type_hints(kind)
        _known[kind] = {each.name: told[each.name] for each in fields(kind)}
    return _known[kind]


def _fits(value: object, hint: Any) -> bool:
    if isinstance(hint, NewType):
        return _fits(value, hint.__supertype__)
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any or hint is object:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and _fit_each(value, arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            _fits(key, arguments[0]) and _fits(held, arguments[1]) for key, held in value.items()
        )
    if isinstance(origin, type) and issubclass(origin, Collection):
        return isinstance(value, origin) and all(_fits(each, arguments[0]) for each in value)
    if origin is not None or not isinstance(hint, type):
        return True  # a kind of annotation that no class which is kept has
    return _PLAIN.get(hint, lambda held: isinstance(held, hint))(value)


def _fit_each(value: tuple[object, ...], arguments: tuple[Any, ...]) -> bool:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return all(_fits(each, arguments[0]) for each in value)
    return len(value) == len(arguments) and all(map(_fits, value, arguments))


def _is_kept(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value) and abs(value) <= FARTHEST
    if isinstance(value, int):
        return abs(value) < LARGEST
    return isinstance(value, str | bytes | Enum | NoneType)


def _is_number(value: Any) -> bool:
    """Whether it may stand for a float: JSON makes a whole number of one that is whole."""
    return isinstance(value, int | float) and not isinstance(value, bool)


_PLAIN: dict[type, Callable[[Any], bool]] = {
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool) and _is_kept(value),
    float: lambda value: _is_number(value) and _is_kept(value) and abs(value) <= FARTHEST,
    NoneType: lambda value: value is None,
}
