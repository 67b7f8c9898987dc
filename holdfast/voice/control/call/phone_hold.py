"""The hold of a call's own phone, and whether the others hear what the phone sends meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from holdfast.voice.control.entities import Call
from holdfast.voice.model.facts import HolderSounds, PhoneHeld, PhoneResumed


def with_phone_hold(call: Call, fact: PhoneHeld | HolderSounds | PhoneResumed, now: float) -> Call:
    """Return a call after a change of its phone's own hold.

    Invariant: a phone is heard during its hold only while it may be, whatever the media process reports.
    """
    match fact:
        case PhoneHeld(may_be_heard=may):
            since = call.phone_held_at if call.phone_held else now
            heard = call.holder_heard and may
            return replace(call, phone_held=True, phone_held_at=since, holder_may_be_heard=may, holder_heard=heard)
        case HolderSounds(sounds=sounds):
            return replace(call, holder_heard=sounds and call.holder_may_be_heard)
        case PhoneResumed():
            return replace(call, phone_held=False, phone_held_at=None, holder_may_be_heard=False, holder_heard=False)
        case _:
            assert_never(fact)
