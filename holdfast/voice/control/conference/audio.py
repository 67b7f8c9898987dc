"""Derive who hears whom in a room from the participants' own values; it is never stored and never patched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, TypeGuard

from holdfast.voice.control.entities import Participant, Room, RoomStatus
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.effects import (
    Beep,
    DetectSpeech,
    DropUnheard,
    HearsChanged,
    PlaySound,
    RouteAudio,
    Seat,
    StopSound,
)
from holdfast.voice.model.ids import CallSid, RoomSid, Token

Hears = tuple[CallSid, ...] | None
"""The audio that a leg receives: these legs, or (None) its own player, which is silent while it plays nothing."""

Change = tuple[Participant | None, Participant | None]
"""One call's participant before a step and after it; None while it has no seat."""


def hears(room: Room) -> dict[CallSid, Hears]:
    """Return what each seated participant hears: other calls, or None for its own player.

    Invariant: no party hears a held one, and a held one hears no party, nor does one that has not answered.
    """
    seated, has_begun = list(_seated(room).values()), _has_begun(room)
    return {participant.call: _hears(participant, seated, has_begun=has_begun) for participant in seated}


def _hears(participant: Participant, seated: Sequence[Participant], *, has_begun: bool) -> Hears:
    if not _listens(participant, has_begun=has_begun):
        return None
    others = (other for other in seated if other.call != participant.call)
    return tuple(other.call for other in others if _audible(other, participant, has_begun=has_begun))


def _listens(participant: Participant, *, has_begun: bool) -> bool:
    """Return whether a participant hears the room, and not its own player."""
    alone = participant.held or participant.hears_announcement or participant.hears_comfort or participant.hears_wait
    return (has_begun or participant.hears_early) and not alone and not participant.early_audio


def _audible(other: Participant, listener: Participant, *, has_begun: bool) -> bool:
    """Return whether `listener` may hear `other`. Only the coached party hears a coach."""
    if not _is_heard(other, has_begun=has_begun):
        return False
    return not other.coaching or other.coach == listener.call


def _is_heard(participant: Participant, *, has_begun: bool) -> bool:
    """Return whether a participant may be heard: before the conference begins only one that has not answered."""
    return not _silenced(participant) and (has_begun or participant.early_audio != "")


def is_early_heard(room: Room, listener: Participant) -> bool:
    """Return whether `listener` may hear a party that is being called in."""
    early = (other for other in room.participants if other.early_audio)
    return any(_audible(other, listener, has_begun=False) for other in early)


def seats(room: Room) -> tuple[Seat, ...]:
    """Return the seats of all participants that have one: `hears`, as the media process derives it from them."""
    return tuple(_seat(participant, has_begun=_has_begun(room)) for participant in _seated(room).values())


def _seat(participant: Participant, *, has_begun: bool) -> Seat:
    unheard = (participant.coaching and participant.coach is None) or not (has_begun or participant.early_audio)
    return Seat(
        call=participant.call,
        held=participant.held,
        muted=participant.muted or participant.silenced_by_phone or unheard,
        listens=_listens(participant, has_begun=has_begun),
        coach=participant.coach if participant.coaching else None,
        rings=_rings(participant),
    )


class Comfort:
    """Comfort says which participants of a room need music, because their peers hold by their own phones.

    The music is a deviation: Twilio plays nothing then; a phone that expects music at a hold would hear silence.
    """

    def __init__(self, room: Room) -> None:
        self._has_begun = _has_begun(room)
        inside, seated = (_inside(room), _seated(room)) if self._has_begun else ({}, {})
        self._awaited = _by_listener(each for each in inside.values() if each.silenced_by_phone)
        audible = (each for each in seated.values() if not _silenced(each))
        self._audible = _by_listener(audible) if self._awaited else Counter()

    def is_needed(self, participant: Participant) -> bool:
        """Return whether a participant hears no party now, and would hear one if that party's phone did not hold."""
        if not self._awaited or participant.held or participant.phone_held or participant.hears_announcement:
            return False
        own = not _silenced(participant) and not participant.coaching
        return _heard(self._awaited, participant) > 0 and _heard(self._audible, participant) == own


def _by_listener(speakers: Iterable[Participant]) -> Counter[CallSid | None]:
    """Count speakers by the call that alone hears them; None: every other participant."""
    return Counter(each.coach if each.coaching else None for each in speakers if not each.coaching or each.coach)


def _heard(speakers: Counter[CallSid | None], listener: Participant) -> int:
    """Return how many of these speakers a participant hears, itself included where it is one of them."""
    return speakers[None] + speakers[listener.call]


def changes(before: Room, after: Room) -> tuple[Change, ...]:
    """Return the participants that a step changed, in the order of the room; those that left last.

    When the room begins, all are changed: until then each hears its own player.
    """
    began = _has_begun(before) != _has_begun(after)
    return tuple(change for change in _pairs(before, after) if began or change[0] is not change[1])


def _pairs(before: Room, after: Room) -> Iterable[Change]:
    was, now = _seated(before), _seated(after)
    yield from ((was.get(call), each) for call, each in now.items())
    yield from ((each, None) for call, each in was.items() if call not in now)


def route_changes(changed: Sequence[Change], before: Room, after: Room) -> tuple[RouteAudio, ...]:
    """Return the routing from one state of a room to the next: only the seats that change."""
    had_begun, has_begun = _has_begun(before), _has_begun(after)
    moved = [_seat(new, has_begun=has_begun) for _, new in changed if new is not None]
    were = {old.call: _seat(old, has_begun=had_begun) for old, _ in changed if old is not None}
    seats = tuple(seat for seat in moved if were.get(seat.call) != seat)
    left = tuple(old.call for old, new in changed if old is not None and new is None)
    return (RouteAudio(room=after.sid, seats=seats, left=left),) if seats or left else ()


def newly_audible(changed: Sequence[Change], before: Room, after: Room) -> tuple[DropUnheard, ...]:
    """Return the participants that become audible: until now they were held, muted, or had no seat.

    Invariant: no party hears what was said on hold, also not from a buffer just after the hold.
    """
    had_begun, has_begun = _has_begun(before), _has_begun(after)
    calls = sorted(
        new.call
        for old, new in changed
        if new is not None
        and _is_heard(new, has_begun=has_begun)
        and (old is None or not _is_heard(old, has_begun=had_begun))
    )
    return (DropUnheard(calls=tuple(calls)),) if calls else ()


def hears_changes(changed: Sequence[Change], before: Room, after: Room) -> tuple[HearsChanged, ...]:
    """Return for the journal whose audio is of another kind now: the player, silence, one call, or the room.

    So a hold in a large conference is one line in the ladder of the held party, and in no other.
    """
    was, now = _Speakers(before), _Speakers(after)
    pairs = changed if was.are_many and now.are_many else _pairs(before, after)
    effects = [(new or old, was.heard_by(old), now.heard_by(new)) for old, new in pairs]
    return tuple(
        HearsChanged(call=each.call, hears=heard)
        for each, heard_before, heard in effects
        if each is not None and heard_before != heard
    )


class _Speakers:
    """The participants of a room that others hear; those that only one participant hears are coaches."""

    def __init__(self, room: Room) -> None:
        self._room, self._has_begun = room.sid, _has_begun(room)
        self._audible = [each for each in _seated(room).values() if _is_heard(each, has_begun=self._has_begun)]
        self.are_many = sum(not each.coaching for each in self._audible) > 2
        """Whether each listener hears several of them."""

    def heard_by(self, listener: Participant | None) -> tuple[CallSid | RoomSid, ...] | None:
        """Return what a participant hears: as `hears`, with the room in place of several calls."""
        if listener is None or not _listens(listener, has_begun=self._has_begun):
            return None
        heard = None if self.are_many else _hears(listener, self._audible, has_begun=self._has_begun)
        return (self._room,) if heard is None or len(heard) > 1 else heard


def _has_begun(room: Room) -> bool:
    return room.kind == "bridge" or room.status is RoomStatus.IN_PROGRESS


def _silenced(participant: Participant) -> bool:
    return participant.held or participant.muted or participant.silenced_by_phone


def ringing_changes(changed: Sequence[Change]) -> tuple[PlaySound | StopSound, ...]:
    """Return the effects that begin and stop the ringing of phones that the room hears."""
    return tuple(
        PlaySound(token=ringing_token(new.call), source="builtin:ringback", rounds=0)
        for old, new in changed
        if new is not None and _rings(new) and not _rings(old)
    ) + tuple(
        StopSound(token=ringing_token(old.call))
        for old, new in changed
        if old is not None and _rings(old) and not _rings(new)
    )


def _rings(participant: Participant | None) -> bool:
    """Return whether its ringing is heard: not during an announcement to it alone, which its player plays."""
    if participant is None or participant.hears_announcement or participant.announcement is not None:
        return False
    return participant.early_audio == "ringing"


def ringing_token(call: CallSid) -> Token:
    """Return the token of the ringing that a room hears in place of a participant that has not answered."""
    return Token(f"{call}/ringing")


def beeps(changed: Sequence[Change], after: Room) -> tuple[Beep, ...]:
    """Return the tones that report a participant's entry or exit to a conference, as that participant's `beep` says.

    Invariant: a held participant hears none, nor does one that has not answered; a muted one and a coach do, and have
    tones of their own.
    Source: TwiML <Conference> beep; Participant resource, Beep and BeepOnExit.
    """
    sounding = after.status is RoomStatus.IN_PROGRESS or (
        after.status is RoomStatus.INIT and twilio_assumptions.BEEPS_BEFORE_START
    )
    if after.kind != "conference" or not sounding:
        return ()
    entered = tuple(
        new.call for old, new in changed if _is_inside(new) and not _is_inside(old) and new.beep in ("true", "onEnter")
    )
    left = tuple(old.call for old, new in changed if _is_inside(old) and new is None and old.beep in ("true", "onExit"))
    without = () if twilio_assumptions.ENTRANT_HEARS_OWN_BEEP else entered
    without += tuple(participant.call for participant in after.participants if participant.early_audio)
    tones: tuple[tuple[Literal["entry", "exit"], tuple[CallSid, ...]], ...] = (("entry", entered), ("exit", left))
    return tuple(Beep(room=after.sid, tone=tone, moved=moved, without=without) for tone, moved in tones if moved)


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
    return {participant.call: participant for participant in room.participants if _is_inside(participant)}


def _is_inside(participant: Participant | None) -> TypeGuard[Participant]:
    return participant is not None and participant.status == "connected"


def _seated(room: Room) -> dict[CallSid, Participant]:
    """Return the participants that have a seat in the audio: those inside, and those heard before they answer."""
    return {each.call: each for each in room.participants if _is_inside(each) or each.early_audio}
