"""Make the journal entries of a step: its messages, and the effects that a ladder shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from holdfast.voice.control.read_only_state import (
    Message,
    Step,
)
from holdfast.voice.control.serialization import encode
from holdfast.voice.model.effects import Beep, HearsChanged, LogNotification, PlaySound, StopSound, VerbBegan
from holdfast.voice.model.ids import call_of
from holdfast.voice.model.masking import mask_passwords
from holdfast.voice.model.ports import JournalEntry

LadderEffect = HearsChanged | Beep | PlaySound | StopSound | VerbBegan | LogNotification
"""The effects that a ladder shows."""


def entries(step: Step, now: float) -> Iterator[JournalEntry]:
    """Yield the entries of a step in the order of its messages and effects, with their passwords masked."""
    for entry in _entries(step, now):
        yield replace(entry, data=mask_passwords(entry.data))


def _entries(step: Step, now: float) -> Iterator[JournalEntry]:
    for message in step.messages:
        yield JournalEntry(at=now, call=_call_of(message), kind=type(message).__name__, data=encode(message))
    for effect in step.effects:
        if not isinstance(effect, LadderEffect):
            continue
        match effect:
            case HearsChanged(call=call, hears=hears):
                yield JournalEntry(at=now, call=call, kind="Hears", data=json.dumps({"hears": hears}))
            case Beep(moved=moved, tone=tone):
                for call in moved:
                    yield JournalEntry(at=now, call=call, kind="Beep", data=json.dumps({"tone": tone}))
            case PlaySound(token=token) | StopSound(token=token):
                yield JournalEntry(at=now, call=call_of(token), kind=type(effect).__name__, data=encode(effect))
            case VerbBegan(call=call):
                yield JournalEntry(at=now, call=call, kind="VerbBegan", data=encode(effect))
            case LogNotification(call=about):
                yield JournalEntry(at=now, call=about or "", kind="LogNotification", data=encode(effect))
            case _:
                assert_never(effect)


def _call_of(message: Message) -> str:
    named = getattr(message, "call", None)
    if named is not None:
        return str(named)
    token = getattr(message, "token", None)
    return "" if token is None else call_of(token)
