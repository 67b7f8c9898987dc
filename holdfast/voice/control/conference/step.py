"""A step in progress on one room: its state so far, and what it has emitted, conference status callbacks among it.

Source: Twilio docs, <Conference> statusCallback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from holdfast.voice.control.entities import Participant, Room, RoomStatus
from holdfast.voice.control.read_only_state import Emitted, ReadOnlyState
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


@dataclass(slots=True, kw_only=True)
class RoomStep:
    """A step in progress on one room."""

    room: Room
    now: float
    view: ReadOnlyState
    emitted: list[Emitted] = field(default_factory=list)

    def emit(self, *emitted: Emitted) -> None:
        """Add effects, commands or facts to the step."""
        self.emitted += emitted

    def send_callback(self, name: str, about: Participant | None = None, *more: tuple[str, str]) -> None:
        """Send the conference's status callback of an event."""
        self.room, callbacks = status_callback(self.room, name, self.now, about, *more)
        self.emit(*callbacks)

    def participant(self, call: CallSid) -> Participant:
        """Return the participant of this call. Precondition: the call is in this room."""
        return next(member for member in self.room.participants if member.call == call)

    def put(self, participant: Participant) -> None:
        """Replace a participant's values, in its old place."""
        self.put_all(participant if each.call == participant.call else each for each in self.room.participants)

    def put_all(self, participants: Iterable[Participant]) -> None:
        """Replace the values of all participants, in their places; those that are equal stay, and are not stored."""
        pairs = zip(self.room.participants, participants, strict=True)
        members = tuple(old if old is new or old == new else new for old, new in pairs)
        if any(old is not new for old, new in zip(self.room.participants, members, strict=True)):
            self.room = replace(self.room, participants=members, updated_at=self.now)

    def set_status(self, status: RoomStatus) -> None:
        """Set another status. Invariant: the machine's table lists it for the message of this step."""
        self.room = replace(self.room, status=status, updated_at=self.now)

    def remove(self, call: CallSid) -> None:
        """Remove a participant."""
        members = tuple(participant for participant in self.room.participants if participant.call != call)
        self.room = replace(self.room, participants=members, updated_at=self.now)


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
