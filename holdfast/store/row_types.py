"""Whether a value that was read back is what its class says it is: JSON keeps values, and forgets their types."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, NewType, TypeAlias, Union, get_args, get_origin, get_type_hints

FARTHEST = 62_135_596_800.0
"""No moment of ours is so many seconds from the Unix epoch: before it lies the year 1. No other number is larger."""
LARGEST = 1 << 63
"""No whole number that a store keeps is."""

Check: TypeAlias = Callable[[Any], str | None]
"""What stands there that must not, and where; None when nothing does. Values are not told: they may be secrets."""


def misfit(value: object) -> str | None:
    """What is wrong with a value of a class of ours, or with a collection of such; None when nothing is."""
    kind = type(value)
    if is_dataclass(kind):
        for name, default, check in _plan(kind):
            held = getattr(value, name)
            if held is not default and (wrong := check(held)) is not None:
                return wrong if "." in wrong else f"{kind.__name__}.{name} is {wrong}"
        return None
    if isinstance(value, Mapping):
        return _first(misfit, [*value.keys(), *value.values()])
    if isinstance(value, list | tuple | set | frozenset):
        return _first(misfit, value)
    if isinstance(value, bool | str | bytes | Enum | NoneType):
        return None
    return _plain(float if isinstance(value, float) else int)(value)


_plans: dict[type, tuple[tuple[str, object, Check], ...]] = {}


def _plan(kind: type) -> tuple[tuple[str, object, Check], ...]:
    """Each field of a class with its default and its check."""
    if kind not in _plans:
        told = get_type_hints(kind)
        _plans[kind] = tuple((each.name, each.default, _check(told[each.name])) for each in fields(kind))
    return _plans[kind]


def _check(hint: Any) -> Check:
    """The check that an annotation asks for."""
    if isinstance(hint, NewType):
        return _check(hint.__supertype__)
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any or hint is object:
        return misfit
    if origin in (Union, UnionType):
        return _any_of([_check(each) for each in arguments])
    if origin is Literal:
        allowed = {(type(each), each) for each in arguments}
        return lambda value: None if isinstance(value, str | int) and (type(value), value) in allowed else _told(value)
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        return _each_of([_check(each) for each in arguments])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        keys, values = (_check(each) for each in arguments)
        return lambda value: (
            _first(keys, value) or _first(values, value.values()) if isinstance(value, Mapping) else _told(value)
        )
    if isinstance(origin, type) and issubclass(origin, Collection):
        kind, check = origin, _check(arguments[0])
        return lambda value: _first(check, value) if isinstance(value, kind) else _told(value)
    return _plain(hint) if origin is None and isinstance(hint, type) else misfit


def _any_of(checks: list[Check]) -> Check:
    def check(value: object) -> str | None:
        wrongs = [wrong for each in checks if (wrong := each(value)) is not None]
        if len(wrongs) < len(checks):
            return None
        return next((wrong for wrong in wrongs if "." in wrong), wrongs[0])  # the one that looked inside knows best

    return check


def _each_of(checks: list[Check]) -> Check:
    def check(value: object) -> str | None:
        if not isinstance(value, tuple) or len(value) != len(checks):
            return _told(value)
        return next((wrong for each, held in zip(checks, value, strict=True) if (wrong := each(held))), None)

    return check


def _plain(kind: type) -> Check:
    """The check of a class that is no container."""
    if kind is float:  # JSON makes a whole number of one that is whole

        def is_float(value: object) -> str | None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                return _told(value)
            kept = math.isfinite(value) if isinstance(value, float) else abs(value) < LARGEST
            return None if kept and abs(value) <= FARTHEST else "a number out of range"

        return is_float
    if kind is int:

        def is_int(value: object) -> str | None:
            if isinstance(value, bool) or not isinstance(value, int):
                return _told(value)
            return None if abs(value) < LARGEST else "a number out of range"

        return is_int
    inside = misfit if is_dataclass(kind) else lambda value: None
    return lambda value: inside(value) if isinstance(value, kind) else _told(value)


def _first(check: Check, values: Collection[Any]) -> str | None:
    return next((wrong for each in values if (wrong := check(each)) is not None), None)


def _told(value: object) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
