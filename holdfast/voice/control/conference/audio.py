"""Derive who hears whom in a room from the participants' own values; it is never stored and never patched."""

from __future__ import annotations

from typing import Literal

from holdfast.voice.control.entities import Participant, Room, RoomStatus
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.effects import Beep, DetectSpeech, DropUnheard, Hears, RouteAudio
from holdfast.voice.model.ids import CallSid


def hears(room: Room) -> dict[CallSid, Hears]:
    """Return what each connected participant hears: other calls, or None for its own player.

    Invariant: no party hears a held one, and a held one hears no party.
    """
    begun = room.kind == "bridge" or room.status is RoomStatus.IN_PROGRESS
    inside = list(_inside(room).values())
    return {participant.call: _hears(participant, inside) if begun else None for participant in inside}


def _hears(participant: Participant, inside: list[Participant]) -> Hears:
    if participant.held or participant.hears_announcement or participant.hears_comfort or participant.hears_wait:
        return None
    return tuple(other.call for other in inside if other.call != participant.call and _audible(other, participant))


def _audible(other: Participant, listener: Participant) -> bool:
    """Return whether `listener` may hear `other`. Only the coached party hears a coach."""
    if other.held or other.muted or other.phone_held:
        return False
    return not other.coaching or other.coach == listener.call


def capture_sources(room: Room) -> tuple[tuple[CallSid, Literal["says", "hears"]], ...]:
    """Return the sources of a conference's recording: every participant that all may hear."""
    return tuple(
        (participant.call, "says")
        for participant in room.participants
        if participant.status == "connected" and not participant.coaching and not _silenced(participant)
    )


def needs_comfort(room: Room, participant: Participant) -> bool:
    """Return whether a participant hears no party now, and would hear one if that party's own phone did not hold.

    Its music is a deviation: Twilio plays nothing then; a phone that expects music at a hold would hear silence.
    """
    if participant.held or participant.phone_held or participant.hears_announcement:
        return False
    others = [other for other in room.participants if other.call != participant.call and other.status == "connected"]
    awaited = any(other.phone_held and (not other.coaching or other.coach == participant.call) for other in others)
    return awaited and not any(_audible(other, participant) for other in others)


def route_changes(before: Room | None, after: Room) -> tuple[RouteAudio, ...]:
    """Return the routing from one state of a room to the next: only the listeners that change."""
    old = hears(before) if before is not None else {}
    new = hears(after)
    listeners = [(call, heard) for call, heard in new.items() if call not in old or old[call] != heard]
    listeners += [(call, None) for call in old if call not in new and old[call] is not None]
    return (RouteAudio(hears=tuple(listeners)),) if listeners else ()


def newly_audible(before: Room, after: Room) -> tuple[DropUnheard, ...]:
    """Return the participants that become audible: until now they were held, muted, or not in the room.

    Invariant: no party hears what was said on hold, also not from a buffer just after the hold.
    """
    calls = tuple(sorted(_may_be_heard(after) - _may_be_heard(before)))
    return (DropUnheard(calls=calls),) if calls else ()


def _may_be_heard(room: Room) -> set[CallSid]:
    begun = room.kind == "bridge" or room.status is RoomStatus.IN_PROGRESS
    return {call for call, participant in _inside(room).items() if begun and not _silenced(participant)}


def _silenced(participant: Participant) -> bool:
    return participant.held or participant.muted or participant.phone_held


def beeps(before: Room, after: Room) -> tuple[Beep, ...]:
    """Return the tones that report a participant's entry or exit to a conference, as that participant's `beep` says.

    Invariant: a held participant hears none; a muted one and a coach do, and have tones of their own.
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
    """Return the audible participants, if speaker events are subscribed to. Source: TwiML <Conference> `speaker`."""
    asked = room.callback is not None and "speaker" in room.callback.events
    if room.kind != "conference" or not asked or room.status is not RoomStatus.IN_PROGRESS:
        return frozenset()
    unheard = twilio_assumptions.INAUDIBLE_HAS_SPEAKER_EVENTS
    return frozenset(
        participant.call for participant in _inside(room).values() if unheard or not _silenced(participant)
    )


def speech_detection_changes(before: Room, after: Room) -> tuple[DetectSpeech, ...]:
    """Return the effects that begin and stop speech detection."""
    was, now = speech_reported(before), speech_reported(after)
    effects = (
        DetectSpeech(calls=tuple(sorted(now - was)), enabled=True),
        DetectSpeech(calls=tuple(sorted(was - now)), enabled=False),
    )
    return tuple(effect for effect in effects if effect.calls)


def _inside(room: Room) -> dict[CallSid, Participant]:
    return {participant.call: participant for participant in room.participants if participant.status == "connected"}
