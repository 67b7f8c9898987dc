"""Who hears whom in a room: a function of the participants' own values, never stored and never patched."""

from __future__ import annotations

from typing import Literal

from holdfast.voice.control.entities import Participant, Room, RoomStatus
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.effects import Beep, DropUnheard, Hears, Listen, RouteAudio
from holdfast.voice.model.ids import CallSid


def hears(room: Room) -> dict[CallSid, Hears]:
    """What every connected participant hears: others, or None for the sound that is played to it alone.

    Invariant: a held party is heard by nobody and hears nobody.
    """
    begun = room.kind == "bridge" or room.status is RoomStatus.IN_PROGRESS
    inside = list(_inside(room).values())
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
    """Whether this ear hears nobody, and would hear somebody whose own phone holds: the others are on hold, muted, or
    coach somebody else.

    Deviation: Twilio plays nothing of its own then; a phone that expects music at a hold would hear silence.
    """
    if one.held or one.phone_held or one.announcing:
        return False
    others = [other for other in room.participants if other.call != one.call and other.status == "connected"]
    awaited = any(other.phone_held and (not other.coaching or other.coach == one.call) for other in others)
    return awaited and not any(_audible(other, one) for other in others)


def changed(before: Room | None, after: Room) -> tuple[RouteAudio, ...]:
    """The routing that leads from one state of a room to the next: only the ears that change."""
    old = hears(before) if before is not None else {}
    new = hears(after)
    ears = [(call, heard) for call, heard in new.items() if call not in old or old[call] != heard]
    ears += [(call, None) for call in old if call not in new and old[call] is not None]
    return (RouteAudio(hears=tuple(ears)),) if ears else ()


def heard_again(before: Room, after: Room) -> tuple[DropUnheard, ...]:
    """The participants who may be heard from now on, and were not until now: held, muted, or not in the room.

    Invariant: what was said on hold is heard by nobody, also not a moment after the hold, out of a buffer.
    """
    calls = tuple(sorted(_may_be_heard(after) - _may_be_heard(before)))
    return (DropUnheard(calls=calls),) if calls else ()


def _may_be_heard(room: Room) -> set[CallSid]:
    begun = room.kind == "bridge" or room.status is RoomStatus.IN_PROGRESS
    return {call for call, one in _inside(room).items() if begun and not (one.held or one.muted or one.phone_held)}


def beeps(before: Room, after: Room) -> tuple[Beep, ...]:
    """The tones by which those in a conference hear that somebody came in or went out, as that one asked for.

    Invariant: who is on hold hears none; a mute or a coach does, and is announced like anybody.
    Source: TwiML <Conference> beep; Participant resource, Beep and BeepOnExit.
    """
    sounding = after.status is RoomStatus.IN_PROGRESS or (
        after.status is RoomStatus.INIT and twilio_assumptions.BEEPS_BEFORE_START
    )
    if after.kind != "conference" or not sounding:
        return ()
    was, now = _inside(before), _inside(after)
    own = twilio_assumptions.ENTRANT_HEARS_OWN_BEEP
    came = [one for call, one in now.items() if call not in was and one.beep in ("true", "onEnter")]
    went = [one for call, one in was.items() if call not in now and one.beep in ("true", "onExit")]
    ears = tuple(one.call for one in now.values() if not one.held and (own or one not in came))
    tones: tuple[tuple[Literal["entry", "exit"], list[Participant]], ...] = (("entry", came), ("exit", went))
    return tuple(Beep(ears=ears, tone=tone) for tone, moved in tones if moved and ears)


def listened_to(room: Room) -> frozenset[CallSid]:
    """Whose speech the application wants to hear of: of those who are heard. Source: TwiML <Conference> `speaker`."""
    asked = room.callback is not None and "speaker" in room.callback.events
    if room.kind != "conference" or not asked or room.status is not RoomStatus.IN_PROGRESS:
        return frozenset()
    unheard = twilio_assumptions.UNHEARD_SPEAKS
    return frozenset(
        one.call for one in _inside(room).values() if unheard or not (one.held or one.muted or one.phone_held)
    )


def listening(before: Room, after: Room) -> tuple[Listen, ...]:
    """To whom to begin to listen, and to whom to stop."""
    was, now = listened_to(before), listened_to(after)
    orders = (Listen(calls=tuple(sorted(now - was)), wanted=True), Listen(calls=tuple(sorted(was - now)), wanted=False))
    return tuple(order for order in orders if order.calls)


def _inside(room: Room) -> dict[CallSid, Participant]:
    return {one.call: one for one in room.participants if one.status == "connected"}
