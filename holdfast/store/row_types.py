"""This module checks that a value read from the store is what its class declares: JSON keeps values without types."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, NewType, TypeAlias, Union, get_args, get_origin, get_type_hints

MAX_TIME_S = 62_135_596_800.0
"""No time of ours is so many seconds from the Unix epoch: before it lies the year 1. No other number is larger."""
INTEGER_LIMIT = 1 << 63
"""No whole number of a store is so large."""

Check: TypeAlias = Callable[[Any], str | None]
"""Says what is wrong at which place; None when nothing is. Values are not shown: they may be secrets."""


def find_mismatch(value: object) -> str | None:
    """Return what is wrong with a value of a class of ours, or with a collection of such; None when nothing is."""
    kind = type(value)
    if is_dataclass(kind):
        for name, default, check in _plan(kind):
            field_value = getattr(value, name)
            if field_value is not default and (problem := check(field_value)) is not None:
                return problem if "." in problem else f"{kind.__name__}.{name} is {problem}"
        return None
    if isinstance(value, Mapping):
        return _first(find_mismatch, [*value.keys(), *value.values()])
    if isinstance(value, list | tuple | set | frozenset):
        return _first(find_mismatch, value)
    if isinstance(value, bool | str | bytes | Enum | NoneType):
        return None
    return _plain(float if isinstance(value, float) else int)(value)


_plans: dict[type, tuple[tuple[str, object, Check], ...]] = {}


def _plan(kind: type) -> tuple[tuple[str, object, Check], ...]:
    """Return each field of a class with its default and its check."""
    if kind not in _plans:
        hints = get_type_hints(kind)
        _plans[kind] = tuple((each.name, each.default, _check(hints[each.name])) for each in fields(kind))
    return _plans[kind]


def _check(hint: Any) -> Check:
    """Return the check that an annotation asks for."""
    if isinstance(hint, NewType):
        return _check(hint.__supertype__)
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any or hint is object:
        return find_mismatch
    if origin in (Union, UnionType):
        return _any_of([_check(each) for each in arguments])
    if origin is Literal:
        allowed = {(type(each), each) for each in arguments}
        return lambda value: (
            None if isinstance(value, str | int) and (type(value), value) in allowed else _describe(value)
        )
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        return _each_of([_check(each) for each in arguments])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        keys, values = (_check(each) for each in arguments)
        return lambda value: (
            _first(keys, value) or _first(values, value.values()) if isinstance(value, Mapping) else _describe(value)
        )
    if isinstance(origin, type) and issubclass(origin, Collection):
        kind, check = origin, _check(arguments[0])
        return lambda value: _first(check, value) if isinstance(value, kind) else _describe(value)
    return _plain(hint) if origin is None and isinstance(hint, type) else find_mismatch


def _any_of(checks: list[Check]) -> Check:
    def check(value: object) -> str | None:
        problems = [problem for each in checks if (problem := each(value)) is not None]
        if len(problems) < len(checks):
            return None
        return next(
            (problem for problem in problems if "." in problem), problems[0]
        )  # prefer the check that looked inside

    return check


def _each_of(checks: list[Check]) -> Check:
    def check(value: object) -> str | None:
        if not isinstance(value, tuple) or len(value) != len(checks):
            return _describe(value)
        return next(
            (problem for each, field_value in zip(checks, value, strict=True) if (problem := each(field_value))), None
        )

    return check


def _plain(kind: type) -> Check:
    """Return the check of a class that is no container."""
    if kind is float:  # JSON writes a whole float as an integer

        def is_float(value: object) -> str | None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                return _describe(value)
            kept = math.isfinite(value) if isinstance(value, float) else abs(value) < INTEGER_LIMIT
            return None if kept and abs(value) <= MAX_TIME_S else "a number out of range"

        return is_float
    if kind is int:

        def is_int(value: object) -> str | None:
            if isinstance(value, bool) or not isinstance(value, int):
                return _describe(value)
            return None if abs(value) < INTEGER_LIMIT else "a number out of range"

        return is_int
    inside = find_mismatch if is_dataclass(kind) else lambda value: None
    return lambda value: inside(value) if isinstance(value, kind) else _describe(value)


def _first(check: Check, values: Collection[Any]) -> str | None:
    return next((problem for each in values if (problem := check(each)) is not None), None)


def _describe(value: object) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
