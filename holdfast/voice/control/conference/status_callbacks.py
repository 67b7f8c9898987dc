"""Make the conference status callbacks. Source: Twilio docs, <Conference> statusCallback."""

from __future__ import annotations

from dataclasses import replace

from holdfast.voice.control.entities import Participant, Room
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.effects import PostCallback
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.timestamps import rfc2822

EVENT_GROUPS = {
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
"""The word of `statusCallbackEvent` that subscribes to each event."""


def status_callback(
    room: Room, name: str, now: float, about: Participant | None = None, *more: tuple[str, str]
) -> tuple[Room, tuple[PostCallback, ...]]:
    """Return the room with the callback counted, and the status callback of an event, if one is subscribed to."""
    subscription = room.callback
    if room.kind != "conference" or subscription is None or EVENT_GROUPS[name] not in subscription.events:
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
        form += _participant_params(about)
    request = WebRequest(url=subscription.url, method=subscription.method, form=(*form, *more))
    # The room's SID stands in place of a call's, so that a conference's events are sent in order.
    effect = PostCallback(call=CallSid(room.sid), kind="conference", request=request)
    return replace(room, callbacks_sent=room.callbacks_sent + 1), (effect,)


def _participant_params(participant: Participant) -> list[tuple[str, str]]:
    form = [
        ("CallSid", participant.call),
        ("Muted", _true_or_false(participant.muted)),
        ("Hold", _true_or_false(participant.held)),
        ("Coaching", _true_or_false(participant.coaching)),
        ("EndConferenceOnExit", _true_or_false(participant.end_on_exit)),
        ("StartConferenceOnEnter", _true_or_false(participant.start_on_enter)),
    ]
    if participant.label:
        form.append(("ParticipantLabel", participant.label))
    if participant.coaching and participant.coach is not None:
        form.append(("CallSidToCoach", participant.coach))
    return form


def _true_or_false(value: bool) -> str:
    return "true" if value else "false"
