"""Name what a verb starts, the action that stops it when the verb ends, and what closes it earlier."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.voice.model.effects import (
    Effect,
    PlaySound,
    StartTimer,
    StopSound,
    StopTimer,
)
from holdfast.voice.model.facts import (
    ChildDetached,
    ChildEnded,
    Fact,
    MemberReached,
    QueueLeft,
    QueueMissing,
    QueueRefused,
    QueueTaken,
    RecordingFinished,
    RoomLeft,
    RoomRefused,
    SoundEnded,
    SoundFailed,
    TimerFired,
)
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.internal_commands import (
    BeginRecording,
    Bridge,
    CallChild,
    DialQueue,
    EndRecording,
    EnterConference,
    JoinQueue,
    LeaveQueue,
    LeaveRoom,
    MeetDialler,
    NounCommand,
    ReleaseChild,
    StartScript,
    StopDialQueue,
    StopScript,
)
from holdfast.voice.twiml.verb import (
    AnswerCaller,
    DeclineCaller,
    EarlyMedia,
)

Action = Effect | NounCommand | AnswerCaller | EarlyMedia | DeclineCaller


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenResource:
    """An open resource was started by a verb; `stop` stops it, and a fact or an action with its `key` closes it."""

    key: str
    stop: Effect | NounCommand


def resource_opened(action: Action, call: CallSid) -> OpenResource | None:
    """Return the resource that an action opens, which must be stopped when its verb ends."""
    match action:
        case StartTimer(token=token):
            return OpenResource(key=token, stop=StopTimer(token=token))
        case PlaySound(token=token):
            return OpenResource(key=token, stop=StopSound(token=token))
        case CallChild(call=child):
            return OpenResource(key=child, stop=ReleaseChild(call=child))
        case Bridge(call=joined) | EnterConference(call=joined) if joined == call:
            return OpenResource(key="room", stop=LeaveRoom(call=call))
        case JoinQueue():
            return OpenResource(key="queue", stop=LeaveQueue(call=call, result="redirected"))
        case DialQueue():
            return OpenResource(key="dialler", stop=StopDialQueue(call=call))
        case BeginRecording(recording=recording):
            return OpenResource(key=recording, stop=EndRecording(recording=recording))
        case StartScript(role=role):
            return OpenResource(key=f"script:{role}", stop=StopScript(call=call, role=role))
        case _:
            return None


def key_closed_by_fact(fact: Fact) -> str:
    """Return the key of the resource that has ended by itself with this fact, or ""."""
    match fact:
        case TimerFired(token=token) | SoundEnded(token=token) | SoundFailed(token=token):
            return token
        case ChildEnded(child=child) | ChildDetached(child=child):
            return child
        case RoomLeft() | RoomRefused():
            return "room"
        case QueueLeft() | QueueTaken(url=None) | QueueRefused():
            return "queue"
        case RecordingFinished(recording=recording):
            return recording
        case MemberReached() | QueueMissing():
            return "dialler"
        case _:
            return ""


def key_closed_by_action(action: Action) -> str:
    """Return the key of the resource that a verb itself stops with this action, or ""."""
    match action:
        case StopSound(token=token) | StopTimer(token=token):
            return token
        case StopScript(role=role):
            return f"script:{role}"
        case MeetDialler():
            return "queue"
        case EndRecording(recording=recording):
            return recording
        case _:
            return ""
