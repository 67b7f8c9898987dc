"""Conference status callbacks. Source: Twilio docs, <Conference> statusCallback."""

from __future__ import annotations

from dataclasses import replace

from holdfast.voice.control.entities import Participant, Room
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.effects import PostCallback
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.timestamps import rfc2822

FAMILY = {
    "conference-start": "start",
    "conference-end": "end",
    "participant-join": "join",
    "participant-leave": "leave",
    "participant-mute": "mute",
    "participant-unmute": "mute",
    "participant-hold": "hold",
    "participant-unhold": "hold",
    "participant-modify": "modify",
    "participant-speech-start": "speaker",
    "participant-speech-stop": "speaker",
    "announcement-end": "announcement",
    "announcement-fail": "announcement",
}
"""The word by which each event is subscribed to."""


def event(
    room: Room, name: str, now: float, about: Participant | None = None, *more: tuple[str, str]
) -> tuple[Room, tuple[PostCallback, ...]]:
    """The callback of an event, if somebody subscribed to it, and the room having counted it."""
    asked = room.callback
    if room.kind != "conference" or asked is None or FAMILY[name] not in asked.events:
        return room, ()
    number = room.callbacks_sent + twilio_assumptions.FIRST_EVENT_NUMBER
    form = [
        ("ConferenceSid", room.sid),
        ("FriendlyName", room.name),
        ("AccountSid", room.account),
        ("Timestamp", rfc2822(now)),
        ("SequenceNumber", str(number)),
        ("StatusCallbackEvent", name),
    ]
    if about is not None:
        form += _participant(about)
    request = WebRequest(url=asked.url, method=asked.method, form=(*form, *more))
    # The room stands for the call here, so that a conference's events leave in order.
    effect = PostCallback(call=CallSid(room.sid), kind="conference", request=request)
    return replace(room, callbacks_sent=room.callbacks_sent + 1), (effect,)


def _participant(one: Participant) -> list[tuple[str, str]]:
    form = [
        ("CallSid", one.call),
        ("Muted", _word(one.muted)),
        ("Hold", _word(one.held)),
        ("Coaching", _word(one.coaching)),
        ("EndConferenceOnExit", _word(one.end_on_exit)),
        ("StartConferenceOnEnter", _word(one.start_on_enter)),
    ]
    if one.label:
        form.append(("ParticipantLabel", one.label))
    if one.coaching and one.coach is not None:
        form.append(("CallSidToCoach", one.coach))
    return form


def _word(value: bool) -> str:
    return "true" if value else "false"
