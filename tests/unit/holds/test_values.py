"""What a value of the holds service has when it is not given: nothing, and never an empty text."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from typing import Any

import holdfast.holds
from holdfast.holds.hold import Status
from holdfast.holds.policy import PolicyAction

GIVEN: dict[str, dict[str, Any]] = {
    "CallSnapshot": {"from_": "", "to": "", "direction": ""},
    "ConferenceSnapshot": {"name": "", "status": "in-progress"},
    "ContinuationRequest": {"call_status": "in-progress"},
    "Hold": {"status": Status.ASKED},
    "ParticipantSnapshot": {"status": "connected"},
    "Policy": {
        "limit_s": 1800.0,
        "alone_limit_s": 120.0,
        "on_limit": PolicyAction.RESUME,
        "on_alone": PolicyAction.HANG_UP,
        "on_owner_left": PolicyAction.RESUME,
    },
    "Timeouts": {
        "confirmation_s": 10.0,
        "conference_forming_s": 3.0,
        "first_poll_s": 0.02,
        "max_poll_interval_s": 0.5,
        "check_interval_s": 5.0,
        "phone_check_interval_s": 1.0,
    },
}
"""The defaults that are a value of their own."""
NOTHING: dict[Any, Any] = {bool: False, int: 0}


def test_a_value_that_is_not_given_is_nothing() -> None:
    wrong: list[str] = []
    for module in pkgutil.walk_packages(holdfast.holds.__path__, "holdfast.holds."):
        for name, kind in vars(importlib.import_module(module.name)).items():
            if not (isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.name):
                continue
            for field in dataclasses.fields(kind):
                if field.default is dataclasses.MISSING:
                    continue
                nothing = NOTHING.get(field.type, () if "tuple" in str(field.type) else None)
                wanted = GIVEN.get(name, {}).get(field.name, nothing)
                if field.default != wanted or type(field.default) is not type(wanted):
                    wrong.append(f"{name}.{field.name} = {field.default!r}")
    assert wrong == []
