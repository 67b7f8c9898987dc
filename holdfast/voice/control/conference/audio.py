"""Who hears whom in a room: a function of the participants' own values, never stored and never patched."""

from __future__ import annotations

from typing import Literal

from holdfast.voice.control.entities import Participant, Room, RoomStatus
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.effects import Beep, DetectSpeech, DropUnheard, Hears, RouteAudio
from holdfast.voice.model.ids import CallSid


def hears(room: Room) -> dict[CallSid, Hears]:
    """What every connected participant hears: others, or None for the sound that is played to it alone.

    Invariant: a held party is heard by nobody and hears nobody.
    """
    begun = room.kind == "bridge" or room.status is RoomStatus.IN_PROGRESS
    inside = list(_inside(room).values())
    return {participant.call: _hears(participant, inside) if begun else None for participant in inside}


def _hears(participant: Participant, inside: list[Participant]) -> Hears:
    if participant.held or participant.hears_announcement or participant.hears_comfort or participant.hears_wait:
        return None
    return tuple(other.call for other in inside if other.call != participant.call and _audible(other, participant))


def _audible(other: Participant, listener: Participant) -> bool:
    """Whether `one` may hear `other`. A coach is heard by the coached party alone."""
    if other.held or other.muted or other.phone_held:
        return False
    return not other.coaching or other.coach == listener.call


def capture_sources(room: Room) -> tuple[tuple[CallSid, Literal["says", "hears"]], ...]:
    """Whose voices a recording of the conference has: of everybody who may be heard by all."""
    return tuple(
        (participant.call, "says")
        for participant in room.participants
        if participant.status == "connected" and not participant.coaching and not _silenced(participant)
    )


def needs_comfort(room: Room, participant: Participant) -> bool:
    """Whether this ear hears nobody, and would hear somebody whose own phone holds: the others are on hold, muted, or
    coach somebody else.

    Deviation: Twilio plays nothing of its own then; a phone that expects music at a hold would hear silence.
    """
    if participant.held or participant.phone_held or participant.hears_announcement:
        return False
    others = [other for other in room.participants if other.call != participant.call and other.status == "connected"]
    awaited = any(other.phone_held and (not other.coaching or other.coach == participant.call) for other in others)
    return awaited and not any(_audible(other, participant) for other in others)


def route_changes(before: Room | None, after: Room) -> tuple[RouteAudio, ...]:
    """The routing that leads from one state of a room to the next: only the ears that change."""
    old = hears(before) if before is not None else {}
    new = hears(after)
    listeners = [(call, heard) for call, heard in new.items() if call not in old or old[call] != heard]
    listeners += [(call, None) for call in old if call not in new and old[call] is not None]
    return (RouteAudio(hears=tuple(listeners)),) if listeners else ()


def newly_audible(before: Room, after: Room) -> tuple[DropUnheard, ...]:
    """The participants who may be heard from now on, and were not until now: held, muted, or not in the room.

    Invariant: what was said on hold is heard by nobody, also not a moment after the hold, out of a buffer.
    """
    calls = tuple(sorted(_may_be_heard(after) - _may_be_heard(before)))
    return (DropUnheard(calls=calls),) if calls else ()


def _may_be_heard(room: Room) -> set[CallSid]:
    begun = room.kind == "bridge" or room.status is RoomStatus.IN_PROGRESS
    return {call for call, participant in _inside(room).items() if begun and not _silenced(participant)}


def _silenced(participant: Participant) -> bool:
    return participant.held or participant.muted or participant.phone_held


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
    entrant_hears = twilio_assumptions.ENTRANT_HEARS_OWN_BEEP
    entered = [each for call, each in now.items() if call not in was and each.beep in ("true", "onEnter")]
    left = [each for call, each in was.items() if call not in now and each.beep in ("true", "onExit")]
    listeners = tuple(each.call for each in now.values() if not each.held and (entrant_hears or each not in entered))
    tones: tuple[tuple[Literal["entry", "exit"], list[Participant]], ...] = (("entry", entered), ("exit", left))
    return tuple(Beep(listeners=listeners, tone=tone) for tone, moved in tones if moved and listeners)


def speech_reported(room: Room) -> frozenset[CallSid]:
    """Whose speech the application wants to hear of: of those who are heard. Source: TwiML <Conference> `speaker`."""
    asked = room.callback is not None and "speaker" in room.callback.events
    if room.kind != "conference" or not asked or room.status is not RoomStatus.IN_PROGRESS:
        return frozenset()
    unheard = twilio_assumptions.UNHEARD_SPEAKS
    return frozenset(
        participant.call for participant in _inside(room).values() if unheard or not _silenced(participant)
    )


def speech_detection_changes(before: Room, after: Room) -> tuple[DetectSpeech, ...]:
    """To whom to begin to listen, and to whom to stop."""
    was, now = speech_reported(before), speech_reported(after)
    effects = (
        DetectSpeech(calls=tuple(sorted(now - was)), enabled=True),
        DetectSpeech(calls=tuple(sorted(was - now)), enabled=False),
    )
    return tuple(effect for effect in effects if effect.calls)


def _inside(room: Room) -> dict[CallSid, Participant]:
    return {participant.call: participant for participant in room.participants if participant.status == "connected"}
