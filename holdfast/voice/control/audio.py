"""Who hears whom in a room: a function of the participants' own values, never stored and never patched."""

from __future__ import annotations

from typing import Literal

from holdfast.voice.control.nouns import Participant, Room, RoomStatus
from holdfast.voice.model.effects import Hears, RouteAudio
from holdfast.voice.model.ids import CallSid


def hears(room: Room) -> dict[CallSid, Hears]:
    """What every connected participant hears: others, or None for the sound that is played to it alone.

    Invariant: a held party is heard by nobody and hears nobody.
    """
    begun = room.kind == "bridge" or room.status is RoomStatus.IN_PROGRESS
    inside = [one for one in room.participants if one.status == "connected"]
    return {one.call: _one_ear(one, inside) if begun else None for one in inside}


def _one_ear(one: Participant, inside: list[Participant]) -> Hears:
    if one.held or one.announcing or one.comforted or one.waiting:
        return None
    return tuple(other.call for other in inside if other.call != one.call and _audible(other, one))


def _audible(other: Participant, one: Participant) -> bool:
    """Whether `one` may hear `other`. A coach is heard by the coached party alone."""
    if other.held or other.muted or other.phone_held:
        return False
    return not other.coaching or other.coach == one.call


def voices_of(room: Room) -> tuple[tuple[CallSid, Literal["says", "hears"]], ...]:
    """Whose voices a recording of the conference has: of everybody who may be heard by all."""
    return tuple(
        (one.call, "says")
        for one in room.participants
        if one.status == "connected" and not (one.held or one.muted or one.phone_held or one.coaching)
    )


def needs_comfort(room: Room, one: Participant) -> bool:
    """Whether every other party in the room is on hold, one of them by its own phone, so that this ear hears nothing.

    Deviation: Twilio plays nothing of its own then; a phone that expects music at a hold would hear silence.
    """
    if one.held or one.phone_held or one.announcing:
        return False
    others = [other for other in room.participants if other.call != one.call and other.status == "connected"]
    return any(other.phone_held for other in others) and all(other.phone_held or other.held for other in others)


def changed(before: Room | None, after: Room) -> tuple[RouteAudio, ...]:
    """The routing that leads from one state of a room to the next: only the ears that change."""
    old = hears(before) if before is not None else {}
    new = hears(after)
    ears = [(call, heard) for call, heard in new.items() if call not in old or old[call] != heard]
    ears += [(call, None) for call in old if call not in new and old[call] is not None]
    return (RouteAudio(hears=tuple(ears)),) if ears else ()
